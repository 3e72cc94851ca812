import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OpenStore } from "../contract-suite.ts";
import { COUNTER_MAX, COUNTER_MIN } from "../limits.ts";
import { changeOf, counterOf, textsOf } from "./book-change.ts";

/** Sums that change together with a book's lines. */
export function describeCounters(open: OpenStore): void {
  describe("a book's counters", () => {
    const add = (basedOn: number, ...amounts: readonly bigint[]) => {
      const counters = amounts.map((amount) => ({ group: "spent", name: "ever", amount }));
      return open.store.journal.commit([changeOf("acme", basedOn, `line ${basedOn + 1}`, { counters })]);
    };
    const spent = () => counterOf(open.store.journal, "acme", "spent", "ever");

    it("start at 0 and add up what each change says, also below 0 and within one change", async () => {
      expect(await spent()).toBeUndefined();
      await add(0, 5n);
      await add(1, -7n);
      expect(await spent()).toBe(-2n);
      await add(2, 1n, 1n, 10n);
      expect(await spent()).toBe(10n);
      await add(3, -10n);
      expect(await spent()).toBe(0n);
    });

    it("stay exact beyond 2^53, to the ends of 64 bits", async () => {
      await add(0, 2n ** 53n);
      await add(1, 1n);
      expect(await spent()).toBe(2n ** 53n + 1n);
      await add(2, COUNTER_MAX - 2n ** 53n - 1n);
      expect(await spent()).toBe(COUNTER_MAX);
      await add(3, COUNTER_MIN);
      await add(4, COUNTER_MIN + 1n);
      expect(await spent()).toBe(COUNTER_MIN);
    });

    it("refuse to leave their 64 bits, and with that the whole change", async () => {
      await add(0, COUNTER_MAX);
      await expect(add(1, 1n)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "counters" } });
      await expect(add(1, -5n, 6n)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "counters" } });
      await expect(add(1, COUNTER_MAX + 1n)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "counters" } });
      expect(await spent()).toBe(COUNTER_MAX);
      expect(await textsOf(open.store.journal, "acme")).toEqual(["line 1"]);
      await add(1, -1n);
      expect(await spent()).toBe(COUNTER_MAX - 1n);
    });

    it("are told by group, and apart for each book", async () => {
      const { journal } = open.store;
      const counters = [
        { group: "minute 2", name: "tokens", amount: 2n },
        { group: "minute 10", name: "tokens", amount: 10n },
        { group: "minute 10", name: "requests", amount: 1n },
        { group: "hour", name: "tokens", amount: 12n },
        { group: "zero", name: "nothing", amount: 0n },
      ];
      await journal.commit([changeOf("acme", 0, "one", { counters }), changeOf("zeta", 0, "one")]);
      expect(await journal.groups("acme")).toEqual(["hour", "minute 10", "minute 2", "zero"]);
      expect(await journal.groups("zeta")).toEqual([]);
      const told = await journal.counters("acme", ["minute 10", "none", "hour", "zero", "hour"]);
      expect(told.map((group) => Object.fromEntries(group))).toEqual([
        { tokens: 10n, requests: 1n },
        {},
        { tokens: 12n },
        { nothing: 0n },
        { tokens: 12n },
      ]);
      expect(await journal.counters("zeta", ["hour"])).toEqual([new Map()]);
    });

    it("come to the sum of all amounts, in whatever batches they come", async () => {
      let position = 0;
      let sum = 0n;
      const amounts = fc.array(fc.bigInt(-(2n ** 55n), 2n ** 55n), { minLength: 1, maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(amounts, async (batch) => {
          await add(position++, ...batch);
          for (const amount of batch) sum += amount;
          expect(await spent()).toBe(sum);
        }),
        { numRuns: 20, endOnFailure: true },
      );
    });
  });
}
