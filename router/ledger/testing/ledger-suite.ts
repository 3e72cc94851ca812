import { describe } from "vitest";
import type { StateStore } from "#state";
import { describeMerging } from "./merge-suite.ts";
import { describePosting } from "./posting-suite.ts";
import { describeReading } from "./reading-suite.ts";

/** What a ledger promises, over any store. `openStore` gives one whose books are empty. */
export function describeLedger(name: string, openStore: () => Promise<StateStore>): void {
  describe(`the ledger over ${name}`, () => {
    describePosting(openStore);
    describeReading(openStore);
    describeMerging(openStore);
  });
}
