import fc from "fast-check";
import { expect, it } from "vitest";
import { isFault, systemClock, VirtualClock } from "#kernel";
import type { StateStore } from "../contract.ts";
import { openEmbeddedStore } from "../embedded/store.ts";
import { openRedisStore } from "./store.ts";
import { describeWithRedis } from "./testing/describe-with-redis.ts";
import { startFaultProxy } from "./testing/fault-proxy.ts";
import { everything, operations } from "./testing/store-operations.ts";

/** Failures print the seed and the history; `DELTAPLANE_FUZZ` is how many histories are tried. */
const settings = (numRuns: number) => ({ numRuns: Number(process.env["DELTAPLANE_FUZZ"] ?? numRuns), verbose: fc.VerbosityLevel.Verbose });

let pairs = 0;

interface Pair {
  readonly clock: VirtualClock;
  readonly embedded: StateStore;
  readonly redis: StateStore;
}

/** Two empty stores that go by the same time. */
async function withPair(url: string, test: (pair: Pair) => Promise<void>): Promise<void> {
  const clock = new VirtualClock();
  await using embedded = await openEmbeddedStore(":memory:", { clock });
  const options = { prefix: `pair-${pairs++}:`, time: () => clock.now() };
  await using redis = await openRedisStore(url, { clock: systemClock }, options);
  await test({ clock, embedded, redis });
  expect(await everything(redis)).toEqual(await everything(embedded));
}

/** The answer, or the reason and detail of a fault that is one. */
async function answerOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    if (isFault(error, "parameter_invalid")) return { reason: error.reason, detail: error.detail };
    throw error;
  }
}

/** What is done, how much time passes before it, and whether its reply is lost. */
const step = fc.record({
  operation: operations,
  passedMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 3_000 }) }),
  lost: fc.boolean(),
});

describeWithRedis("the Redis store and the embedded store", (server) => {
  it("give the same answers to the same calls, and end in the same state", async () => {
    const history = fc.array(step, { minLength: 1, maxLength: 80, size: "max" });
    const property = fc.asyncProperty(history, (steps) =>
      withPair(server().url, async ({ clock, embedded, redis }) => {
        for (const { operation, passedMs } of steps) {
          await clock.advance(passedMs);
          const expected = await answerOf(await operation.prepare(embedded));
          expect(await answerOf(await operation.prepare(redis)), operation.text).toEqual(expected);
        }
      }),
    );
    await fc.assert(property, settings(50));
  });

  it("give the same answers when replies are lost and the callers call again", async () => {
    await using proxy = await startFaultProxy(server().port);
    let losses = 0;
    const history = fc.array(step, { minLength: 1, maxLength: 30, size: "max" });
    const property = fc.asyncProperty(history, (steps) =>
      withPair(`redis://127.0.0.1:${proxy.port}`, async ({ clock, embedded, redis }) => {
        for (const { operation, passedMs, lost } of steps) {
          await clock.advance(passedMs);
          const onEmbedded = await operation.prepare(embedded);
          const onRedis = await operation.prepare(redis);
          if (lost) {
            // The embedded store loses nothing; called twice, it shows what a call that is made again may do and answer.
            await answerOf(onEmbedded);
            proxy.cutNextReply().then(() => losses++);
            await answerOf(onRedis).catch((error) => expect(isFault(error, "store_unreachable"), String(error)).toBe(true));
            proxy.heal();
          }
          const expected = await answerOf(onEmbedded);
          expect(await answerOf(onRedis), `${operation.text}${lost ? ", its first reply lost" : ""}`).toEqual(expected);
        }
      }),
    );
    await fc.assert(property, settings(12));
    expect(losses).toBeGreaterThan(20);
  });
});
