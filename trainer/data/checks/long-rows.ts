import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { describeRows, RowSet } from "./row-set.ts";

/** More than any base's context of the time when this limit became a habit; a base's real limit is checked in tokens. */
const CHARACTERS_MAX = 10_000;

/** Check 8: examples that are too long to be learned well; texts without prompts may be long. */
export function longRows(stage: number): Check<CompletionRow> {
  return {
    name: "long rows",
    stage,
    start() {
      const rows = new RowSet();
      return {
        see(row) {
          if (row.prompt.length + row.completion.length > CHARACTERS_MAX) rows.add(row);
        },
        conclude({ task, rows: all }) {
          if (rows.size === 0 || task === "open-ended") return undefined;
          if (rows.size === all) return { immediateMessage: `Every example is longer than ${CHARACTERS_MAX} characters` };
          return { optional: { message: `Drop ${describeRows(rows)} of more than ${CHARACTERS_MAX} characters`, drop: rows } };
        },
      };
    },
  };
}
