import { describe, expect, test } from "vitest";
import { asNodeId, type Clock, Fault, MINUTE, type NodeId, SECOND, seededRandom, systemClock, VirtualClock } from "#kernel";
import { openEmbeddedStore, type StateStore } from "#state";
import type { TenantRecord } from "../catalog/index.ts";
import type { Admitted } from "../contract.ts";
import { createLedger } from "../ledger/index.ts";
import type { NodeClient } from "../nodes/index.ts";
import { AWAY, ask, type CoreOptions, coreOver, generateRequest } from "../testing/core-under-test.ts";
import { type NodeScript, PROMPT_TOKENS, scriptedNode } from "../testing/scripted-node.ts";

const never = new AbortController().signal;
/** Nano-dollars per token. */
const PRICE = {
  ...{ version: 3, plan: "standard", effectiveFrom: 0, bases: {}, gpuHour: "0" },
  default: { prompt: 100, cached: 50, completion: 400, training: 0 },
};

async function limitedCore(limits: Partial<TenantRecord> = {}, options: CoreOptions & { readonly script?: NodeScript } = {}) {
  const clock = options.clock ?? systemClock;
  const store = options.store ?? (await openEmbeddedStore(":memory:", { clock }));
  const node = scriptedNode(options.script);
  const nodes = new Map<NodeId, NodeClient>([[asNodeId("a"), node]]);
  const under = coreOver(nodes, { ...options, clock, store });
  under.price(PRICE);
  return { ...under, node, store, acme: under.tenant("acme", limits) };
}

/** Posts what was claimed, as the outbox would. */
async function post(under: { readonly claims: Parameters<ReturnType<typeof createLedger>["post"]>[0] }, store: StateStore, clock: Clock) {
  const price = async () => PRICE;
  await createLedger({ journal: store.journal, meters: store.meters, clock, random: seededRandom(1), price }).post(under.claims);
}

const reasonOf = (error: unknown) => (error as Fault).reason;

describe("rates", () => {
  test("of requests are refused beyond the limit, with the time to come again, and charge nothing", async () => {
    const under = await limitedCore({ limits: { requestsPerMinute: 2 } });
    await ask(under, under.acme);
    await ask(under, under.acme);
    const claimed = under.claims.length;
    const refused = ask(under, under.acme);
    await expect(refused).rejects.toMatchObject({ reason: "rate_exceeded", retry: { kind: "after", waitMs: expect.any(Number) } });
    await expect(refused).rejects.toThrow(/2 requests per minute/);
    expect(under.claims.length).toBe(claimed);
    await ask(under, under.tenant("other"));
  });

  test("of tokens are drawn by estimate and corrected by what was used", async () => {
    const clock = new VirtualClock();
    const under = await limitedCore({ limits: { inputTokensPerMinute: 100, outputTokensPerMinute: 100 } }, { clock });
    const reports: Admitted[] = [];
    const pieces = await Array.fromAsync(
      under.core.generate(under.acme, generateRequest({ maxTokens: 90, seed: "3" }), never, (admitted) => reports.push(admitted)),
    );
    const used = pieces.at(-1)!.usage!.completionTokens;
    expect(reports).toMatchObject([
      {
        requestId: pieces[0]!.requestId,
        meters: [
          { meter: "tokens_in", limit: 100 },
          { meter: "tokens_out", left: 10, limit: 100 },
        ],
      },
    ]);
    await under.limits.settled();
    reports.length = 0;
    await Array.fromAsync(under.core.generate(under.acme, generateRequest({ maxTokens: 1 }), never, (admitted) => reports.push(admitted)));
    expect(reports[0]!.meters.map(({ left }) => left)).toEqual([100 - PROMPT_TOKENS - 4, 100 - used - 1]);
  });

  test("a request larger than the limit gets through when nothing else was used, and then owes the rest", async () => {
    const clock = new VirtualClock();
    const under = await limitedCore({ limits: { outputTokensPerMinute: 5 } }, { clock });
    const [request, next] = [generateRequest({ maxTokens: 12, seed: "3" }), generateRequest({ maxTokens: 1 })];
    const used = (await ask(under, under.acme, request)).at(-1)!.usage!.completionTokens;
    expect(used).toBeGreaterThan(6);
    await under.limits.settled();
    const owedMs = ((used - 5 + 1) * MINUTE) / 5;
    await expect(ask(under, under.acme, next)).rejects.toMatchObject({ retry: { kind: "after", waitMs: owedMs } });
    await clock.advance(owedMs);
    await ask(under, under.acme, next);
  });

  test("a limit of nothing lets nothing through, and says that waiting does not help", async () => {
    const under = await limitedCore({ limits: { requestsPerMinute: 0 } });
    await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "rate_exceeded", retry: { kind: "never" } });
  });

  test("of requests at once count those in progress; who has seen the end of one may begin the next", async () => {
    const under = await limitedCore({ limits: { concurrentRequests: 2 } });
    const open = [0, 1].map(() => under.core.generate(under.acme, generateRequest(), never)[Symbol.asyncIterator]());
    await Promise.all(open.map((pieces) => pieces.next()));
    await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "rate_exceeded", detail: { resource: "live" } });
    await open[0]!.return?.();
    for (let index = 0; index < 10; index++) await ask(under, under.acme);
    await open[1]!.return?.();
  });

  test("cost no round trip where there are none", async () => {
    const under = await limitedCore({}, { store: AWAY });
    expect((await ask(under, under.acme)).length).toBeGreaterThan(0);
  });

  test("what was taken is given back when there is no node after all", async () => {
    const clock = new VirtualClock();
    const under = await limitedCore({ limits: { requestsPerMinute: 1 } }, { clock });
    under.cluster.set({
      version: 2,
      nodes: new Map([...under.cluster.snapshot.nodes].map(([id, node]) => [id, { ...node, state: "draining" }])),
    });
    await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "no_ready_node" });
    await under.limits.settled();
    await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "no_ready_node" });
  });
});

describe("max_tokens", () => {
  test("beyond the tenant's limit is refused by name, over all choices", async () => {
    const under = await limitedCore({ limits: { maxTokens: 30 } });
    for (const sampling of [{ maxTokens: 31 }, { maxTokens: 16, n: 2 }]) {
      await expect(ask(under, under.acme, generateRequest(sampling))).rejects.toMatchObject({
        ...{ reason: "parameter_invalid", detail: { field: "max_tokens" } },
      });
    }
    await ask(under, under.acme, generateRequest({ maxTokens: 15, n: 2 }));
  });

  test("that nobody asked for is cut to the limit", async () => {
    const under = await limitedCore({ limits: { maxTokens: 30 } });
    await ask(under, under.acme, generateRequest({ maxTokens: undefined, n: 2 }));
    expect(under.node.generated[0]!.sampling!.maxTokens).toBe(15);
  });
});

describe("a budget", () => {
  /** The prompt has 16 bytes and 2 tokens that an encoder adds. */
  const HOLD = BigInt((16 + 2) * 100 + 20 * 400);
  const budget = (times: bigint) => ({ budget: { nanoUsd: (HOLD * times).toString(), period: "ever" as const } });

  test("for ten lets at most ten of a thousand run at once; in the end nothing is held, and no more was spent", async () => {
    const gate = Promise.withResolvers<void>();
    const under = await limitedCore(budget(10n), { script: { pace: () => gate.promise } });
    const store = under.store as StateStore;
    const all = Array.from({ length: 1000 }, () => ask(under, under.acme).then(() => "served", reasonOf));
    await expect.poll(async () => (await store.meters.live("acme")).count).toBe(10);
    expect((await store.meters.live("acme")).held).toBe(10n * HOLD);
    gate.resolve();
    const outcomes = await Promise.all(all);
    const served = outcomes.filter((outcome) => outcome === "served").length;
    expect(new Set(outcomes)).toEqual(new Set(["served", "budget_spent"]));
    expect(served).toBe(10);
    await under.limits.settled();
    await post(under, store, systemClock);
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: 0n });
    const spent = (await store.journal.counters("acme", ["spent"]))[0]!.get("ever")!;
    expect(spent).toBeGreaterThan(0n);
    expect(spent).toBeLessThanOrEqual(10n * HOLD);
  });

  test("is held for by the price list at admission, and stays held until the ledger has posted", async () => {
    const under = await limitedCore({ budget: { nanoUsd: (HOLD + 1800n + 400n).toString(), period: "ever" } });
    const store = under.store as StateStore;
    await ask(under, under.acme);
    await under.limits.settled();
    expect(under.claims.at(-1)).toMatchObject({ priceVersion: 3, baseName: "demo-base", projectId: "default" });
    expect(under.node.generated[0]).toMatchObject({ priceVersion: 3, baseName: "demo-base" });
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: HOLD });
    await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "budget_spent", retry: { kind: "never" } });
    await post(under, store, systemClock);
    expect((await store.meters.live("acme")).held).toBe(0n);
    await ask(under, under.acme, generateRequest({ maxTokens: 1 }));
  });

  test("is not held for what was posted before: a request that ran again under its id, when its answer was lost", async () => {
    const under = await limitedCore(budget(2n));
    const store = under.store as StateStore;
    await ask(under, under.acme);
    await under.limits.settled();
    await post(under, store, systemClock);
    const id = under.claims.at(-1)!.requestId;
    const spent = { group: "spent", name: "ever" };
    await store.meters.take({ account: "acme", id, draws: [], hold: { amount: HOLD, budget: 2n * HOLD, spent }, lifeMs: 60_000 });
    await store.meters.settle("acme", id, {}, "stays");
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: HOLD });
    await post(under, store, systemClock);
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: 0n });
  });

  test("is not held for what came further the second time: its first attempt had ended, and was posted", async () => {
    const under = await limitedCore(budget(2n));
    const store = under.store as StateStore;
    await ask(under, under.acme);
    await under.limits.settled();
    const last = under.claims.at(-1)!;
    await post({ claims: [{ ...last, outcome: "failed", usage: { ...last.usage, completionTokens: 1 } }] }, store, systemClock);
    const spent = { group: "spent", name: "ever" };
    const hold = { amount: HOLD, budget: 2n * HOLD, spent };
    await store.meters.take({ account: "acme", id: last.requestId, draws: [], hold, lifeMs: 60_000 });
    await store.meters.settle("acme", last.requestId, {}, "stays");
    await post({ claims: [last] }, store, systemClock);
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: 0n });
  });

  test("holds nothing for what failed before its first token", async () => {
    const under = await limitedCore(budget(1n), { script: { death: () => ({ afterPieces: 0, reason: "context_too_long" }) } });
    for (let index = 0; index < 3; index++) await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "context_too_long" });
    await under.limits.settled();
    expect(await (under.store as StateStore).meters.live("acme")).toEqual({ count: 0, held: 0n });
    expect(under.claims).toEqual([]);
  });

  test("does not matter where nothing is charged", async () => {
    const under = await limitedCore({ budget: { nanoUsd: "0", period: "month" }, pricePlan: "free" });
    await ask(under, under.acme);
    expect(under.claims.at(-1)!.priceVersion).toBe(0);
  });
});

describe("while the store is away", () => {
  /** A store that can be cut off. */
  async function cutStore(clock: Clock) {
    const store = await openEmbeddedStore(":memory:", { clock });
    const state = { away: false, calls: 0 };
    const meters = new Proxy(store.meters, {
      get:
        (target, name: keyof StateStore["meters"]) =>
        async (...args: unknown[]) => {
          state.calls++;
          if (state.away) throw new Fault("store_unreachable", "cut off");
          return await (target[name] as (...all: unknown[]) => unknown).apply(target, args);
        },
    });
    return { state, store, cut: { meters, answers: store.answers } };
  }

  test("rates are this router's own, from where the store left them", async () => {
    const clock = new VirtualClock();
    const { state, cut } = await cutStore(clock);
    const under = await limitedCore({ limits: { requestsPerMinute: 4 } }, { clock, store: cut });
    await ask(under, under.acme);
    state.away = true;
    for (let index = 0; index < 3; index++) await ask(under, under.acme);
    await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "rate_exceeded", retry: { kind: "after", waitMs: 15 * SECOND } });
    const metrics = await under.registry.metrics();
    expect(metrics).toContain('deltaplane_admission_total{outcome="admitted_without_store"} 3');
    expect(metrics).toContain('deltaplane_admission_total{outcome="rate_exceeded"} 1');
  });

  test("it is asked once a second, not by every request", async () => {
    const clock = new VirtualClock();
    const { state, cut } = await cutStore(clock);
    const under = await limitedCore({ limits: { requestsPerMinute: 1000 } }, { clock, store: cut });
    state.away = true;
    for (let index = 0; index < 50; index++) await ask(under, under.acme);
    expect(state.calls).toBe(1);
    await clock.advance(1100);
    for (let index = 0; index < 50; index++) await ask(under, under.acme);
    expect(state.calls).toBe(2);
  });

  test("requests at once are counted here", async () => {
    const clock = new VirtualClock();
    const { state, cut } = await cutStore(clock);
    const under = await limitedCore({ limits: { concurrentRequests: 1 } }, { clock, store: cut });
    const open = under.core.generate(under.acme, generateRequest(), never)[Symbol.asyncIterator]();
    await open.next();
    state.away = true;
    await expect(ask(under, under.acme)).rejects.toMatchObject({ reason: "rate_exceeded" });
    await open.return?.();
    await ask(under, under.acme);
  });

  test("a tenth of what was known to be left of a budget may be spent, and nothing where nothing is known", async () => {
    const clock = new VirtualClock();
    const { state, cut } = await cutStore(clock);
    const hold = BigInt((16 + 2) * 100 + 20 * 400);
    const limits = { budget: { nanoUsd: (hold * 31n).toString(), period: "ever" as const } };
    const gate = Promise.withResolvers<void>();
    const under = await limitedCore(limits, { clock, store: cut, script: { pace: () => gate.promise } });
    const known = ask(under, under.acme);
    await clock.advance(1);
    state.away = true;
    const all = Array.from({ length: 10 }, () => ask(under, under.acme).then(() => "served", reasonOf));
    const unknown = ask(under, under.tenant("other", limits)).catch(reasonOf);
    await clock.advance(1);
    gate.resolve();
    const outcomes = await Promise.all(all);
    expect(outcomes.filter((outcome) => outcome === "served").length).toBe(3); // 30 holds were left.
    expect(outcomes.filter((outcome) => outcome === "store_unreachable").length).toBe(7);
    expect(await unknown).toBe("store_unreachable");
    await known;
  });

  test("it is told what ended meanwhile once it is back, without another request", async () => {
    const clock = new VirtualClock();
    const { state, store, cut } = await cutStore(clock);
    const under = await limitedCore({ limits: { requestsPerMinute: 100 } }, { clock, store: cut });
    const open = under.core.generate(under.acme, generateRequest(), never)[Symbol.asyncIterator]();
    await open.next();
    state.away = true;
    await open.return?.();
    await under.limits.settled();
    expect((await store.meters.live("acme")).count).toBe(1);
    state.away = false;
    await clock.advance(1100); // And nobody asks for anything.
    await under.limits.settled();
    expect((await store.meters.live("acme")).count).toBe(0);
  });
});
