import { Fault } from "#kernel";
import type { Row } from "../rows.ts";
import type { Check } from "./check.ts";
import { countOf } from "./row-set.ts";

/** Below it, each further example is worth most. */
const ADVISED_ROWS = 100;

/** Check 1: how many there are. */
export function rowCount<R extends Row>(stage: number): Check<R> {
  return {
    name: "row count",
    stage,
    start: () => ({
      see() {},
      conclude({ rows }) {
        if (rows === 0) return { error: new Fault("file_malformed", "there are no examples in the file") };
        const advice =
          rows < ADVISED_ROWS
            ? `. A few hundred are advised: quality tends to grow by about the same step each time their number doubles`
            : "";
        return { immediateMessage: `The file has ${countOf(rows, "example")}${advice}` };
      },
    }),
  };
}
