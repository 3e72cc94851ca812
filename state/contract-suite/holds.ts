import { describe, expect, it } from "vitest";
import { MINUTE, SECOND } from "#kernel";
import type { HoldAsk, Take, TakeAsk } from "../contract.ts";
import type { OpenStore } from "../contract-suite.ts";
import { changeOf } from "./book-change.ts";

const SPENT = { group: "spent", name: "2026-11" };
const LIFE_MS = 10 * MINUTE;

/** Money that is set aside for a request until it is spent. */
export function describeHolds(open: OpenStore): void {
  describe("and their holds", () => {
    const hold = (id: string, amount: bigint, more: Partial<HoldAsk> = {}, ask: Partial<TakeAsk> = {}): Promise<Take> =>
      open.store.meters.take({
        account: "acme",
        id,
        draws: [],
        lifeMs: LIFE_MS,
        hold: { amount, budget: 100n, spent: SPENT, ...more },
        ...ask,
      });
    const settle = (id: string, holds: "ends" | "stays") => open.store.meters.settle("acme", id, {}, holds);
    const live = () => open.store.meters.live("acme");
    /** Posts to the account's book what was spent, and ends these holds. */
    const spend = (basedOn: number, amount: bigint, ...releases: readonly string[]) =>
      open.store.journal.commit([changeOf("acme", basedOn, `line ${basedOn}`, { counters: [{ ...SPENT, amount }], releases })]);

    it("fit while what is spent, what is held and what is asked for stay within the budget", async () => {
      expect(await hold("one", 60n)).toEqual({ kind: "taken", meters: [], budgetLeft: 40n });
      expect(await hold("two", 41n)).toEqual({ kind: "short", what: "budget", waitMs: undefined, meters: [] });
      expect(await hold("two", 40n)).toMatchObject({ kind: "taken", budgetLeft: 0n });
      expect(await hold("three", 1n)).toMatchObject({ kind: "short", what: "budget" });
      expect(await hold("three", 0n)).toMatchObject({ kind: "taken", budgetLeft: 0n });
      expect(await live()).toEqual({ count: 3, held: 100n });
    });

    it("look at the counter that they name, which may be beyond the budget or below 0", async () => {
      await spend(0, 90n);
      expect(await hold("one", 11n)).toMatchObject({ kind: "short", what: "budget" });
      expect(await hold("one", 11n, { spent: { group: "spent", name: "2026-12" } })).toMatchObject({ kind: "taken", budgetLeft: 89n });
      await settle("one", "ends");
      await spend(1, 2n ** 60n);
      expect(await hold("two", 0n)).toMatchObject({ kind: "short", what: "budget" });
      await spend(2, -(2n ** 60n) - 120n);
      expect(await hold("two", 130n)).toMatchObject({ kind: "taken", budgetLeft: 0n });
    });

    it("are exact up to 2^53 - 1", async () => {
      const budget = 2n ** 53n - 1n;
      await spend(0, 1n);
      expect(await hold("one", budget - 2n, { budget })).toMatchObject({ kind: "taken", budgetLeft: 1n });
      expect(await hold("two", 2n, { budget })).toMatchObject({ kind: "short" });
      expect(await hold("two", 1n, { budget })).toMatchObject({ kind: "taken", budgetLeft: 0n });
      expect(await live()).toEqual({ count: 2, held: budget - 1n });
    });

    it("are taken with all the rest or not at all, and are the last that is told to be short", async () => {
      const draws = [{ meter: "tokens", amount: 10, limit: 10, windowMs: MINUTE }];
      expect(await hold("one", 101n, {}, { draws })).toMatchObject({ kind: "short", what: "budget", meters: [{ left: 10 }] });
      expect(await hold("one", 60n, {}, { draws })).toMatchObject({ kind: "taken", meters: [{ left: 0 }] });
      expect(await hold("two", 60n, {}, { draws })).toMatchObject({ kind: "short", what: "tokens" });
      expect(await hold("two", 60n, {}, { draws, liveMax: 1 })).toMatchObject({ kind: "short", what: "live" });
      expect(await live()).toEqual({ count: 1, held: 60n });
    });

    it("are held once by a request that is repeated", async () => {
      const first = await hold("one", 60n);
      expect(await hold("one", 60n)).toEqual(first);
      expect(await live()).toEqual({ count: 1, held: 60n });
    });

    it("end with the take when it is settled so", async () => {
      await hold("one", 60n);
      await settle("one", "ends");
      expect(await live()).toEqual({ count: 0, held: 0n });
      expect(await hold("two", 100n)).toMatchObject({ kind: "taken" });
    });

    it("stay after the take when they are told to, until the change that spends the money", async () => {
      await hold("one", 60n);
      await settle("one", "stays");
      expect(await live()).toEqual({ count: 0, held: 60n });
      await settle("one", "ends");
      expect(await live()).toEqual({ count: 0, held: 60n });
      expect(await hold("two", 41n)).toMatchObject({ kind: "short", what: "budget" });
      await spend(0, 30n, "one", "unknown");
      expect(await live()).toEqual({ count: 0, held: 0n });
      expect(await hold("two", 70n)).toMatchObject({ kind: "taken", budgetLeft: 0n });
    });

    it("end with the change also before the take is settled, which stays live", async () => {
      await hold("one", 60n);
      await spend(0, 30n, "one");
      expect(await live()).toEqual({ count: 1, held: 0n });
      await settle("one", "stays");
      expect(await live()).toEqual({ count: 0, held: 0n });
    });

    it("end when they are released, live or not, as often as one likes", async () => {
      await hold("live", 10n);
      await hold("over", 20n);
      await settle("over", "stays");
      for (let time = 0; time < 2; time++) await open.store.meters.release("acme", ["live", "over", "unknown"]);
      expect(await live()).toEqual({ count: 1, held: 0n });
      await open.store.meters.release("nobody", ["live"]);
      await expect(open.store.meters.release("acme", [""])).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "id" } });
      expect(await hold("next", 100n)).toMatchObject({ kind: "taken", budgetLeft: 0n });
    });

    it("do not end with a change that is in conflict", async () => {
      await hold("one", 60n);
      await spend(0, 10n);
      expect(await spend(0, 30n, "one")).toEqual([{ kind: "conflict" }]);
      expect(await live()).toEqual({ count: 1, held: 60n });
    });

    it("end only in the account whose book is changed", async () => {
      await hold("one", 60n);
      await hold("one", 60n, {}, { account: "zeta" });
      await spend(0, 30n, "one");
      expect(await live()).toEqual({ count: 1, held: 0n });
      expect(await open.store.meters.live("zeta")).toEqual({ count: 1, held: 60n });
    });

    it("end by themselves when their life is over, whether or not the take was settled", async () => {
      await hold("settled", 60n, {}, { lifeMs: MINUTE });
      await hold("lost", 40n, {}, { lifeMs: MINUTE });
      await settle("settled", "stays");
      await open.clock.advance(MINUTE - 1);
      expect(await live()).toEqual({ count: 1, held: 100n });
      await open.clock.advance(1);
      expect(await live()).toEqual({ count: 0, held: 0n });
      expect(await hold("two", 100n)).toMatchObject({ kind: "taken" });
      await spend(0, 5n, "settled", "lost");
      expect(await live()).toEqual({ count: 1, held: 100n });
    });

    it("of an id that is used again take the place of those that still stay", async () => {
      await hold("one", 60n);
      await settle("one", "stays");
      await open.clock.advance(SECOND);
      expect(await hold("one", 90n)).toMatchObject({ kind: "taken", budgetLeft: 10n });
      expect(await live()).toEqual({ count: 1, held: 90n });
    });

    it("never overdraw a budget: of a thousand at once exactly those that fit", async () => {
      await spend(0, 50n);
      const ids = Array.from({ length: 1000 }, (_, index) => `request ${index}`);
      const takes = await Promise.all(ids.map((id) => hold(id, 7n, { budget: 1000n })));
      const held = ids.filter((_, index) => takes[index]!.kind === "taken");
      expect(held).toHaveLength(135); // 950 are left: 135 times 7, and 5.
      expect(await live()).toEqual({ count: 135, held: 945n });
      for (const id of held) await settle(id, "stays");
      await spend(1, 135n * 7n, ...held);
      expect(await live()).toEqual({ count: 0, held: 0n });
      expect(await hold("last", 6n, { budget: 1000n })).toMatchObject({ kind: "short" });
      expect(await hold("last", 5n, { budget: 1000n })).toMatchObject({ kind: "taken", budgetLeft: 0n });
    });

    it("refuse what is no amount of money, and name the field", async () => {
      const refusals: readonly (readonly [string, Promise<Take>])[] = [
        ["amount", hold("one", -1n)],
        ["amount", hold("one", 2n ** 53n)],
        ["budget", hold("one", 1n, { budget: -1n })],
        ["budget", hold("one", 1n, { budget: 2n ** 53n })],
        ["group", hold("one", 1n, { spent: { group: "", name: "x" } })],
        ["name", hold("one", 1n, { spent: { group: "spent", name: "" } })],
      ];
      for (const [field, refusal] of refusals)
        await expect(refusal, field).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
      expect(await live()).toEqual({ count: 0, held: 0n });
    });
  });
}
