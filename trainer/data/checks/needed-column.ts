import { Fault } from "#kernel";
import type { RawRow } from "../rows.ts";
import type { Check } from "./check.ts";

/** Checks 2 and 3: a column that the kind of data needs; in another case it is renamed. */
export function neededColumn(stage: number, column: string): Check<RawRow> {
  return {
    name: `${column} column`,
    stage,
    start() {
      let present = false;
      const spellings = new Set<string>();
      return {
        see({ fields }) {
          if (present) return;
          present = Object.hasOwn(fields, column);
          for (const name of Object.keys(fields)) if (name.trim().toLowerCase() === column) spellings.add(name);
        },
        conclude() {
          if (present) return undefined;
          const [name, other] = spellings;
          if (name === undefined) return { error: missing(column, "no record has it") };
          if (other !== undefined) return { error: missing(column, `it could be ${[...spellings].map(quoted).join(" or ")}: rename one`) };
          return { necessary: { message: `Rename the column ${quoted(name)} to ${quoted(column)}`, rewrite: renamed(name, column) } };
        },
      };
    },
  };
}

function renamed(from: string, to: string) {
  return (row: RawRow): RawRow => {
    const { [from]: value, ...others } = row.fields;
    return value === undefined ? row : { ...row, fields: { ...others, [to]: value } };
  };
}

function missing(column: string, why: string): Fault {
  return new Fault("file_malformed", `the column ${quoted(column)} is missing: ${why}`, { detail: { field: column } });
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
