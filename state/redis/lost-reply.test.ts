import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "#kernel";
import type { BookChange, StateStore } from "../contract.ts";
import { openRedisStore } from "./store.ts";
import { describeWithRedis } from "./testing/describe-with-redis.ts";
import { type FaultProxy, startFaultProxy } from "./testing/fault-proxy.ts";

let stores = 0;
const HOUR_MS = 3_600_000;

const change: BookChange = {
  book: "acme",
  basedOn: 0,
  lines: [{ text: "a line", hash: "h1" }],
  values: new Map([["request", "charged"]]),
  counters: [{ group: "spent", name: "ever", amount: 7n }],
  releases: ["request"],
};
const take = {
  account: "acme",
  id: "request",
  draws: [{ meter: "tokens", amount: 30, limit: 100, windowMs: HOUR_MS }],
  liveMax: 5,
  hold: { amount: 10n, budget: 100n, spent: { group: "spent", name: "ever" } },
  lifeMs: HOUR_MS,
};
const question = { account: "acme", key: "k", digest: "d", holder: "me", termMs: HOUR_MS };

describeWithRedis("when a reply is lost and the caller calls again", (server) => {
  let proxy: FaultProxy;
  let store: StateStore;
  beforeEach(async () => {
    proxy = await startFaultProxy(server().port);
    // By a time that stands still, so that buckets do not refill between two looks at them.
    const options = { prefix: `lost-${stores++}:`, time: () => 1_000_000 };
    store = await openRedisStore(`redis://127.0.0.1:${proxy.port}`, { clock: systemClock }, options);
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  });

  /** Calls, loses the reply of what was executed, and calls again. */
  async function twice<T>(call: () => Promise<T>): Promise<T> {
    const lost = proxy.cutNextReply();
    await expect(call()).rejects.toMatchObject({ reason: "store_unreachable" });
    await lost;
    return call();
  }
  const drawn = async () => {
    const look = await store.meters.take({
      ...take,
      id: "look",
      draws: [{ ...take.draws[0]!, amount: 0 }],
      hold: { ...take.hold, amount: 0n },
    });
    await store.meters.settle("acme", "look", {}, "ends");
    return 100 - look.meters[0]!.left;
  };

  it("a record is written once, and the conflict names the version of the first writing", async () => {
    expect(await twice(() => store.records.putIf("alias/a", 1, undefined))).toEqual({ kind: "conflict", version: 1 });
    expect(await store.records.list("")).toEqual([{ key: "alias/a", value: 1, version: 1 }]);
    expect(await twice(() => store.records.putIf("alias/a", 2, 1))).toEqual({ kind: "conflict", version: 2 });
    expect(await store.records.get("alias/a")).toEqual({ key: "alias/a", value: 2, version: 2 });
  });

  it("a record is removed once", async () => {
    await store.records.putIf("alias/a", 1, undefined);
    expect(await twice(() => store.records.removeIf("alias/a", 1))).toEqual({ kind: "conflict", version: undefined });
    expect(await store.records.putIf("alias/a", 1, undefined)).toEqual({ kind: "put", version: 3 });
  });

  it("a change to a book is made once: lines, values, counters and releases", async () => {
    await store.meters.take(take);
    await store.journal.commit([{ ...change, basedOn: 5 }]); // Puts the book into the index: that call is harmless by itself.
    expect(await twice(() => store.journal.commit([change]))).toEqual([{ kind: "conflict" }]);
    expect(await store.journal.lines("acme", 1, 10)).toEqual([{ position: 1, text: "a line", hash: "h1" }]);
    expect(await store.journal.counters("acme", ["spent"])).toEqual([new Map([["ever", 7n]])]);
    expect(await store.meters.live("acme")).toEqual({ count: 1, held: 0n });
  });

  it("the first commit to a book is made once, whichever of its two calls lost its reply", async () => {
    expect(await twice(() => store.journal.commit([change]))).toEqual([{ kind: "committed", head: { position: 1, hash: "h1" } }]);
    expect(await store.journal.books()).toEqual(["acme"]);
    expect(await store.journal.lines("acme", 1, 10)).toHaveLength(1);
  });

  it("a take draws and holds once, and gives the first answer", async () => {
    const answer = { kind: "taken", meters: [{ meter: "tokens", left: 70, fullInMs: 0.3 * HOUR_MS }], budgetLeft: 90n };
    expect(await twice(() => store.meters.take(take))).toEqual(answer);
    expect(await store.meters.live("acme")).toEqual({ count: 1, held: 10n });
    expect(await drawn()).toBe(30);
  });

  it("a take is settled once", async () => {
    await store.meters.take(take);
    await twice(() => store.meters.settle("acme", "request", { tokens: 45 }, "ends"));
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: 0n });
    expect(await drawn()).toBe(45);
  });

  it("a lease is taken with one epoch, and given back once", async () => {
    expect(await twice(() => store.leases.acquire("scheduler", "me", HOUR_MS))).toEqual({ kind: "held", epoch: 1 });
    await twice(() => store.leases.release("scheduler", "me"));
    expect(await store.leases.acquire("scheduler", "you", HOUR_MS)).toEqual({ kind: "held", epoch: 2 });
  });

  it("a question is begun, answered and forgotten once", async () => {
    expect(await twice(() => store.answers.begin(question))).toEqual({ kind: "begun" });
    await twice(() => store.answers.finish("acme", "k", "me", "42", HOUR_MS));
    expect(await store.answers.begin(question)).toEqual({ kind: "done", answer: "42" });
    await store.answers.begin({ ...question, key: "other" });
    await twice(() => store.answers.abandon("acme", "other", "me"));
    expect(await store.answers.begin({ ...question, key: "other", digest: "another" })).toEqual({ kind: "begun" });
  });
});
