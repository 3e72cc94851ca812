import type { Row } from "../rows.ts";
import type { Check } from "./check.ts";
import { FingerprintSet } from "./fingerprint-set.ts";
import { describeRows, RowSet } from "./row-set.ts";

/** Check 7: the same example again; the first stays. */
export function duplicates<R extends Row>(stage: number, contentOf: (row: R) => unknown): Check<R> {
  return {
    name: "duplicates",
    stage,
    start() {
      const seen = new FingerprintSet();
      const rows = new RowSet();
      return {
        see(row) {
          if (!seen.add(JSON.stringify(contentOf(row)))) rows.add(row);
        },
        conclude: () =>
          rows.size === 0 ? undefined : { optional: { message: `Drop ${describeRows(rows)} already there before`, drop: rows } },
      };
    },
  };
}
