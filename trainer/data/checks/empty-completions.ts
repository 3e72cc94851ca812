import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { describeRows, RowSet } from "./row-set.ts";

/** Check 5: nothing can be learned from a completion without text. */
export function emptyCompletions(stage: number): Check<CompletionRow> {
  return {
    name: "empty completions",
    stage,
    start() {
      const rows = new RowSet();
      return {
        see(row) {
          if (row.completion.trim() === "") rows.add(row);
        },
        conclude: () =>
          rows.size === 0 ? undefined : { necessary: { message: `Drop ${describeRows(rows)} with an empty completion`, drop: rows } },
      };
    },
  };
}
