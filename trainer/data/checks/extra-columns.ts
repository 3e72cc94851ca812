import type { JsonObject } from "#model";
import type { RawRow } from "../rows.ts";
import type { Check } from "./check.ts";

/** Names after which nobody looks any more. */
const NAMES_MAX = 20;

/** Check 4: columns that are not learned from are dropped; one that looks like a needed one is pointed out. */
export function extraColumns(stage: number, columns: readonly string[]): Check<RawRow> {
  return {
    name: "extra columns",
    stage,
    start() {
      const extra = new Set<string>();
      return {
        see({ fields }) {
          for (const name of Object.keys(fields)) if (!columns.includes(name) && extra.size < NAMES_MAX) extra.add(name);
        },
        conclude() {
          if (extra.size === 0) return undefined;
          const names = [...extra].map((name) => JSON.stringify(name)).join(", ");
          const alike = [...extra].filter((name) => columns.some((column) => name.toLowerCase().includes(column)));
          const warning = alike.map(
            (name) => `\n  ${JSON.stringify(name)} looks like a column of training data: is it the right one that is kept?`,
          );
          return {
            necessary: { message: `Drop the columns ${names}, which are not learned from${warning.join("")}`, rewrite: only(columns) },
          };
        },
      };
    },
  };
}

function only(columns: readonly string[]) {
  return (row: RawRow): RawRow => {
    const kept = Object.entries(row.fields).filter(([name]) => columns.includes(name));
    return { ...row, fields: Object.assign(Object.create(null), Object.fromEntries(kept)) as JsonObject };
  };
}
