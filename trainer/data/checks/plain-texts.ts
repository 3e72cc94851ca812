import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { describeRows, RowSet } from "./row-set.ts";

/** Numbers and missing values become texts; part of check 0, for formats that know more than texts. */
export function plainTexts(stage: number): Check<CompletionRow> {
  return {
    name: "plain texts",
    stage,
    start() {
      const rows = new RowSet();
      return {
        see(row) {
          if (row.converted) rows.add(row);
        },
        conclude() {
          if (rows.size === 0) return undefined;
          const message = `Write numbers and missing values as texts in ${describeRows(rows)}`;
          return { necessary: { message, rewrite: (row) => ({ ...row, converted: false }) } };
        },
      };
    },
  };
}
