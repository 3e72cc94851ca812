import fc from "fast-check";
import { expect, it } from "vitest";
import { systemClock, VirtualClock } from "#kernel";
import { drawn, fullLevel, levelAt } from "../bucket.ts";
import { openRedisStore } from "./store.ts";
import { describeWithRedis } from "./testing/describe-with-redis.ts";
import { rawCommand } from "./testing/raw-command.ts";

let stores = 0;

describeWithRedis("the arithmetic of buckets in Redis", (server) => {
  it("gives the very same doubles as bucket.ts", async () => {
    const draws = fc.array(fc.record({ amount: fc.integer({ min: 0, max: 50 }), passedMs: fc.integer({ min: 1, max: 999 }) }), {
      minLength: 1,
    });
    const bucket = fc.record({ limit: fc.integer({ min: 1, max: 1_000 }), windowMs: fc.integer({ min: 1, max: 100_000 }) });
    const property = fc.asyncProperty(bucket, draws, async ({ limit, windowMs }, asks) => {
      const clock = new VirtualClock();
      const prefix = `arithmetic-${stores++}:`;
      await using store = await openRedisStore(server().url, { clock: systemClock }, { prefix, time: () => clock.now() });
      let level = fullLevel({ limit, windowMs }, clock.now());
      for (const [index, { amount, passedMs }] of asks.entries()) {
        await clock.advance(passedMs);
        const now = levelAt({ limit, windowMs }, level, clock.now());
        const draw = { meter: "tokens", amount, limit, windowMs };
        const taken = await store.meters.take({ account: "acme", id: `request-${index}`, draws: [draw], lifeMs: 1_000_000 });
        expect(taken.kind).toBe(amount <= now.tokens ? "taken" : "short");
        if (taken.kind === "taken") level = drawn({ limit, windowMs }, now, amount);
        const kept = await rawCommand(server().port, "HGET", `${prefix}{acme}:buckets`, "tokens");
        if (kept !== "$-1") expect(kept.split("\r\n")[1]!.split(" ").map(Number)).toEqual([level.tokens, level.at]);
      }
    });
    await fc.assert(property, { numRuns: 30, verbose: fc.VerbosityLevel.Verbose });
  });
});

describeWithRedis("what an account leaves in Redis by the server's own time", (server) => {
  it("is forgotten once it says nothing any more", async () => {
    const prefix = `forgotten-${stores++}:`;
    await using store = await openRedisStore(server().url, { clock: systemClock }, { prefix });
    const draws = [{ meter: "tokens", amount: 5, limit: 10, windowMs: 100 }];
    const hold = { amount: 5n, budget: 10n, spent: { group: "spent", name: "ever" } };
    expect(await store.meters.take({ account: "acme", id: "r", draws, hold, lifeMs: 50 })).toMatchObject({ kind: "taken" });
    await store.answers.begin({ account: "acme", key: "k", digest: "d", holder: "me", termMs: 50 });
    await store.answers.finish("acme", "k", "me", "42", 100);
    while ((await store.meters.live("acme")).count > 0) await systemClock.after(20);
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: 0n });
    while ((await rawCommand(server().port, "KEYS", `${prefix}{acme}*`)) !== "*0") await systemClock.after(20);
  });
});
