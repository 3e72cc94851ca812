import { Fault } from "#kernel";
import { LINES_SHOWN } from "../records/record.ts";
import type { Row } from "../rows.ts";
import type { Check } from "./check.ts";
import { describeRows, RowSet } from "./row-set.ts";

/** When most rows are wrong, it is rather the format that is, and the rest is not what was meant. */
const UNUSABLE_SHARE_MAX = 0.5;

/** Rows that can't be read, or hold no training data: dropped, each of the first few with its reason. */
export function unusableRows<R extends Row>(stage: number): Check<R> {
  return {
    name: "unusable rows",
    stage,
    start() {
      const rows = new RowSet();
      const reasons: string[] = [];
      return {
        see(row) {
          if (row.problem === undefined) return;
          rows.add(row);
          if (reasons.length < LINES_SHOWN) reasons.push(`line ${row.line} ${row.problem}`);
        },
        conclude(survey) {
          if (rows.size === 0) return undefined;
          const why = reasons.map((reason) => `\n  ${reason}`).join("");
          if (rows.size > survey.rows * UNUSABLE_SHARE_MAX) {
            const message = `${rows.size} of ${survey.rows} records can't be used:${why}`;
            return { error: new Fault("file_malformed", message, { detail: { line: rows.firstLines[0]! } }) };
          }
          return { necessary: { message: `Drop ${describeRows(rows)} that can't be used${why}`, drop: rows } };
        },
      };
    },
  };
}
