import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MINUTE, SECOND } from "#kernel";
import type { Draw, Take, TakeAsk } from "../contract.ts";
import type { OpenStore } from "../contract-suite.ts";
import { DRAWS_MAX, DURATION_MS_MAX, LIVE_WAIT_MS } from "../limits.ts";
import { describeHolds } from "./holds.ts";

const LIFE_MS = 10 * MINUTE;

/** A draw from a bucket of 60 that refills one a second. */
function tokens(amount: number, more: Partial<Draw> = {}): Draw {
  return { meter: "tokens", amount, limit: 60, windowMs: MINUTE, ...more };
}

/** Limits that all routers share. */
export function describeMeters(open: OpenStore): void {
  describe("the meters", () => {
    let ids = 0;
    /** Under an id of its own, unless told otherwise. */
    const take = (draws: readonly Draw[], more: Partial<TakeAsk> = {}): Promise<Take> =>
      open.store.meters.take({ account: "acme", id: `take ${ids++}`, draws, lifeMs: LIFE_MS, ...more });
    const left = async (meter = "tokens"): Promise<number> => {
      const probe = await take([tokens(0, { meter })], { id: "probe" });
      await open.store.meters.settle("acme", "probe", {}, "ends");
      return probe.meters[0]!.left;
    };

    it("give what a bucket has, and tell what is left and when it is full again", async () => {
      const taken = await take([tokens(20)]);
      expect(taken).toEqual({ kind: "taken", meters: [{ meter: "tokens", left: 40, fullInMs: 20 * SECOND }], budgetLeft: undefined });
      expect(await take([tokens(40)])).toMatchObject({ kind: "taken", meters: [{ left: 0, fullInMs: MINUTE }] });
    });

    it("refill evenly, and never above the limit", async () => {
      await take([tokens(60)]);
      await open.clock.advance(SECOND);
      expect(await left()).toBe(1);
      await open.clock.advance(2_500);
      expect(await left()).toBe(3);
      await open.clock.advance(500);
      expect(await left()).toBe(4);
      await open.clock.advance(10 * MINUTE);
      expect(await left()).toBe(60);
    });

    it("tell how long to wait when a bucket is short; then it is there, and not a moment before", async () => {
      await take([tokens(60)]);
      const short = await take([tokens(10)]);
      const meters = [{ meter: "tokens", left: 0, fullInMs: MINUTE }];
      expect(short).toEqual({ kind: "short", what: "tokens", waitMs: 10 * SECOND, meters });
      await open.clock.advance(10 * SECOND - 1);
      expect(await take([tokens(10)])).toMatchObject({ kind: "short", waitMs: 1 });
      await open.clock.advance(1);
      expect(await take([tokens(10)])).toMatchObject({ kind: "taken" });
    });

    it("know that waiting does not help for more than the limit", async () => {
      expect(await take([tokens(61)])).toMatchObject({ kind: "short", what: "tokens", waitMs: undefined, meters: [{ left: 60 }] });
      const nothing = { limit: 0 };
      expect(await take([tokens(1, nothing)])).toEqual({
        kind: "short",
        what: "tokens",
        waitMs: undefined,
        meters: [{ meter: "tokens", left: 0, fullInMs: 0 }],
      });
      expect(await take([tokens(0, { ...nothing, meter: "none" })])).toMatchObject({ kind: "taken", meters: [{ left: 0, fullInMs: 0 }] });
    });

    it("give all that is asked for or nothing, and name the first draw that is short", async () => {
      const requests: Draw = { meter: "requests", amount: 1, limit: 3, windowMs: MINUTE };
      const short = await take([requests, tokens(61), tokens(99, { meter: "other" })]);
      expect(short).toMatchObject({ kind: "short", what: "tokens" });
      expect(short.meters.map(({ meter, left }) => [meter, left])).toEqual([
        ["requests", 3],
        ["tokens", 60],
        ["other", 60],
      ]);
      for (let request = 0; request < 3; request++) expect(await take([requests, tokens(1)])).toMatchObject({ kind: "taken" });
      expect(await take([requests, tokens(1)])).toMatchObject({ kind: "short", what: "requests", waitMs: 20 * SECOND });
      expect(await left()).toBe(57);
    });

    it("keep the buckets of accounts, and of meters, apart", async () => {
      await take([tokens(60)]);
      expect(await take([tokens(60)], { account: "zeta" })).toMatchObject({ kind: "taken" });
      expect(await take([tokens(60, { meter: "other" })])).toMatchObject({ kind: "taken" });
      expect(await left()).toBe(0);
    });

    it("follow a limit that is changed: what is above it is cut off, what is below it refills at the new pace", async () => {
      await take([tokens(10)]);
      expect(await take([tokens(0, { limit: 30 })])).toMatchObject({ meters: [{ left: 30, fullInMs: 0 }] });
      await take([tokens(30, { limit: 30 })]);
      await open.clock.advance(10 * SECOND);
      expect(await take([tokens(0, { limit: 120 })])).toMatchObject({ meters: [{ left: 20, fullInMs: 50 * SECOND }] });
    });

    it("let a request be repeated: the same id while it is live gets the same answer and takes nothing", async () => {
      const first = await take([tokens(20)], { id: "request" });
      await open.clock.advance(5 * SECOND);
      for (let again = 0; again < 3; again++) expect(await take([tokens(20)], { id: "request" })).toEqual(first);
      expect(await left()).toBe(45);
      expect(await open.store.meters.live("acme")).toEqual({ count: 1, held: 0n });
    });

    it("do not remember what was refused: the same id asks anew", async () => {
      await take([tokens(60)]);
      expect(await take([tokens(10)], { id: "request" })).toMatchObject({ kind: "short" });
      await open.clock.advance(10 * SECOND);
      expect(await take([tokens(10)], { id: "request" })).toMatchObject({ kind: "taken" });
    });

    it("take back what was not used, and no more than the limit", async () => {
      const draws = [tokens(20), tokens(30, { meter: "other" })];
      await take(draws, { id: "request" });
      await open.store.meters.settle("acme", "request", { tokens: 5, unknown: 7 }, "ends");
      expect(await left()).toBe(55);
      expect(await left("other")).toBe(60);
      await take([tokens(50)], { id: "slow" });
      await open.clock.advance(50 * SECOND);
      await open.store.meters.settle("acme", "slow", { tokens: 0 }, "ends");
      expect(await left()).toBe(60);
    });

    it("draw what was used beyond, below zero if need be, and everybody waits for that", async () => {
      await take([tokens(10)], { id: "request" });
      await open.store.meters.settle("acme", "request", { tokens: 90 }, "ends");
      const short = await take([tokens(1)]);
      expect(short).toMatchObject({ kind: "short", waitMs: 31 * SECOND, meters: [{ left: -30, fullInMs: 90 * SECOND }] });
      await open.clock.advance(31 * SECOND);
      expect(await take([tokens(1)])).toMatchObject({ kind: "taken" });
    });

    it("settle once: again, or without a take, changes nothing", async () => {
      await take([tokens(30)], { id: "request" });
      for (let again = 0; again < 3; again++) await open.store.meters.settle("acme", "request", { tokens: 20 }, "ends");
      await open.store.meters.settle("acme", "nobody", { tokens: 20 }, "ends");
      await open.store.meters.settle("nobody", "request", { tokens: 20 }, "ends");
      expect(await left()).toBe(40);
    });

    it("count what is live, and let in no more than allowed", async () => {
      const two = { liveMax: 2 };
      expect(await take([tokens(1)], { id: "one", ...two })).toMatchObject({ kind: "taken" });
      expect(await take([tokens(1)], { id: "two", ...two })).toMatchObject({ kind: "taken" });
      expect(await take([tokens(1)], { id: "two", ...two })).toMatchObject({ kind: "taken" });
      expect(await take([tokens(1)], two)).toMatchObject({ kind: "short", what: "live", waitMs: LIVE_WAIT_MS, meters: [{ left: 58 }] });
      expect(await take([], { liveMax: 0 })).toEqual({ kind: "short", what: "live", waitMs: undefined, meters: [] });
      expect(await take([tokens(1)], { account: "zeta", ...two })).toMatchObject({ kind: "taken" });
      expect(await open.store.meters.live("acme")).toEqual({ count: 2, held: 0n });
      await open.store.meters.settle("acme", "one", { tokens: 1 }, "ends");
      expect(await take([tokens(1)], two)).toMatchObject({ kind: "taken" });
    });

    it("let a take end by itself when its life is over; what it drew stays drawn", async () => {
      await take([tokens(60, { windowMs: 60 * MINUTE })], { id: "lost", lifeMs: MINUTE });
      await open.clock.advance(MINUTE - 1);
      expect(await take([], { liveMax: 1 })).toMatchObject({ kind: "short", what: "live" });
      await open.clock.advance(1);
      expect(await open.store.meters.live("acme")).toEqual({ count: 0, held: 0n });
      await open.store.meters.settle("acme", "lost", {}, "ends");
      expect(await take([tokens(0, { windowMs: 60 * MINUTE })], { liveMax: 1 })).toMatchObject({ kind: "taken", meters: [{ left: 1 }] });
    });

    it("tell a live shortage before an empty bucket", async () => {
      await take([tokens(60)]);
      expect(await take([tokens(1)], { liveMax: 1 })).toMatchObject({ kind: "short", what: "live" });
    });

    it("never give more than a bucket had and what refilled meanwhile, however many ask at once", async () => {
      const step = fc.record({
        takes: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 8 }),
        waitMs: fc.integer({ min: 0, max: 90_000 }),
      });
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
          const account = `account ${run++}`;
          let given = 0;
          let elapsedMs = 0;
          for (const { takes, waitMs } of steps) {
            const answers = await Promise.all(takes.map((amount) => take([tokens(amount)], { account })));
            for (const [index, { kind }] of answers.entries()) if (kind === "taken") given += takes[index]!;
            expect(given).toBeLessThanOrEqual(60 + elapsedMs / SECOND);
            await open.clock.advance(waitMs);
            elapsedMs += waitMs;
          }
        }),
        { numRuns: 25 },
      );
    });

    it("refuse what is no take, name the field, and take nothing", async () => {
      const twice = [tokens(1), tokens(2)];
      const many = Array.from({ length: DRAWS_MAX + 1 }, (_, index) => tokens(1, { meter: `meter ${index}` }));
      const refusals: readonly (readonly [readonly Draw[], Partial<TakeAsk>, string])[] = [
        [[], { account: "" }, "account"],
        [[], { id: "" }, "id"],
        [[], { lifeMs: 0 }, "lifeMs"],
        [[], { lifeMs: DURATION_MS_MAX + 1 }, "lifeMs"],
        [[], { liveMax: -1 }, "liveMax"],
        [[tokens(1, { meter: "" })], {}, "meter"],
        [twice, {}, "meter"],
        [many, {}, "draws"],
        [[tokens(-1)], {}, "amount"],
        [[tokens(0.5)], {}, "amount"],
        [[tokens(Number.NaN)], {}, "amount"],
        [[tokens(1, { limit: Number.POSITIVE_INFINITY })], {}, "limit"],
        [[tokens(1, { windowMs: 0 })], {}, "windowMs"],
      ];
      for (const [draws, more, field] of refusals)
        await expect(take(draws, more), field).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
      const settle = open.store.meters.settle("acme", "request", { tokens: -1 }, "ends");
      await expect(settle).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "used" } });
      await expect(open.store.meters.live("")).rejects.toMatchObject({ detail: { field: "account" } });
      expect(await open.store.meters.live("acme")).toEqual({ count: 0, held: 0n });
      expect(await left()).toBe(60);
    });

    describeHolds(open);
  });
}
