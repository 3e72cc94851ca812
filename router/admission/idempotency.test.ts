import { describe, expect, test } from "vitest";
import { asNodeId, Fault, MINUTE, type NodeId, SECOND, VirtualClock } from "#kernel";
import type { GenerateResponse } from "#proto";
import { openEmbeddedStore } from "#state";
import type { NodeClient } from "../nodes/index.ts";
import { AWAY, ask, type CoreOptions, coreOver, generateRequest } from "../testing/core-under-test.ts";
import { type NodeScript, scriptedNode } from "../testing/scripted-node.ts";

const never = new AbortController().signal;
const keyed = (idempotencyKey = "order-17", sampling: Parameters<typeof generateRequest>[0] = {}) =>
  generateRequest({ seed: undefined, ...sampling }, { idempotencyKey });

/** A router over one scripted node; several may share a store. */
async function routerOver(script: NodeScript = {}, options: Omit<CoreOptions, "clock"> & { readonly clock?: VirtualClock } = {}) {
  const clock = options.clock ?? new VirtualClock();
  const store = options.store ?? (await openEmbeddedStore(":memory:", { clock }));
  const node = scriptedNode(script);
  const under = coreOver(new Map<NodeId, NodeClient>([[asNodeId("a"), node]]), { ...options, clock, store });
  return { ...under, node, store, clock, acme: under.tenant("acme") };
}

const reasonOf = (error: unknown) => (error as Fault).reason;

/** What a reader has in the end. */
function read(pieces: readonly GenerateResponse[]) {
  const choices = [...new Set(pieces.map(({ choice }) => choice))].sort();
  return {
    requestId: pieces[0]!.requestId,
    model: pieces[0]!.model,
    usage: pieces.at(-1)!.usage,
    choices: choices.map((choice) => {
      const own = pieces.filter((piece) => piece.choice === choice);
      return {
        text: own.map(({ text }) => text).join(""),
        tokenIds: own.flatMap(({ tokenIds }) => tokenIds),
        finishReason: own.at(-1)!.finishReason,
      };
    }),
  };
}

describe("the same key and question", () => {
  test("asked again is answered alike, and generated, claimed and charged once", async () => {
    const under = await routerOver();
    const first = read(await ask(under, under.acme, keyed("k", { n: 3 })));
    await under.idempotency.settled();
    const claimed = under.claims.length;
    expect(read(await ask(under, under.acme, keyed("k", { n: 3 })))).toEqual(first);
    expect(under.node.generated.length).toBe(1);
    expect(under.claims.length).toBe(claimed);
    expect(await under.registry.metrics()).toContain('deltaplane_admission_total{outcome="replayed"} 1');
  });

  test("asked at the same time is generated once, for all who ask", async () => {
    const under = await routerOver();
    const all = await Promise.all(Array.from({ length: 20 }, () => ask(under, under.acme, keyed())));
    expect(new Set(all.map((pieces) => JSON.stringify(read(pieces)))).size).toBe(1);
    expect(under.node.generated.length).toBe(1);
    expect(under.slots.running).toBe(0);
  });

  test("is answered by another router once it is done, and not before", async () => {
    const gate = Promise.withResolvers<void>();
    const one = await routerOver({ pace: () => gate.promise });
    const other = await routerOver({}, { store: one.store, clock: one.clock, holder: "router-2" });
    const running = ask(one, one.acme, keyed());
    await one.clock.advance(1);
    await expect(ask(other, other.acme, keyed())).rejects.toMatchObject({
      reason: "request_running",
      retry: { kind: "after", waitMs: SECOND },
    });
    gate.resolve();
    const first = read(await running);
    await one.idempotency.settled();
    expect(read(await ask(other, other.acme, keyed()))).toEqual(first);
    expect(other.node.generated).toEqual([]);
  });

  test("is kept from other routers for as long as it runs, and given free soon after its router died", async () => {
    const clock = new VirtualClock();
    const one = await routerOver({ pace: (signal) => clock.after(10 * SECOND, signal) }, { clock });
    const other = await routerOver({}, { store: one.store, clock, holder: "router-2" });
    const leaving = new AbortController();
    const running = ask(one, one.acme, keyed("k", { maxTokens: 6 }), leaving.signal).catch(reasonOf);
    await clock.advance(55 * SECOND);
    await expect(ask(other, other.acme, keyed("k", { maxTokens: 6 }))).rejects.toMatchObject({ reason: "request_running" });
    await clock.advance(10 * SECOND);
    await running;
    // Whoever began and never came back.
    await one.store.answers.begin({ account: "acme", key: "lost", digest: "d", holder: "dead", termMs: 30 * SECOND });
    await clock.advance(31 * SECOND);
    expect((await ask(other, other.acme, keyed("lost"))).length).toBeGreaterThan(0);
  });

  test("is forgotten after a day, and even then it has its id and its text", async () => {
    const under = await routerOver();
    const first = read(await ask(under, under.acme, keyed()));
    await under.idempotency.settled();
    await under.clock.advance(25 * 60 * MINUTE);
    expect(read(await ask(under, under.acme, keyed()))).toEqual(first);
    expect(under.node.generated.length).toBe(2);
    expect(new Set(under.claims.map(({ requestId }) => requestId)).size).toBe(1);
  });
});

test("another question under the same key is refused, while the first is answered and after", async () => {
  const gate = Promise.withResolvers<void>();
  const under = await routerOver({ pace: () => gate.promise });
  const running = ask(under, under.acme, keyed());
  await under.clock.advance(1);
  const other = keyed("order-17", { maxTokens: 3 });
  await expect(ask(under, under.acme, other)).rejects.toMatchObject({ reason: "idempotency_key_reused" });
  gate.resolve();
  await running;
  await under.idempotency.settled();
  await expect(ask(under, under.acme, other)).rejects.toMatchObject({ reason: "idempotency_key_reused" });
  expect(under.node.generated.length).toBe(1);
});

test("keys are a tenant's own", async () => {
  const under = await routerOver();
  const acme = read(await ask(under, under.acme, keyed()));
  const zeta = read(await ask(under, under.tenant("zeta"), keyed("order-17", { maxTokens: 3 })));
  expect(zeta.requestId).not.toBe(acme.requestId);
  expect(under.node.generated.length).toBe(2);
});

test.each(["x".repeat(256), "line\nfeed", "ümlaut", "\u007f"])("the key %j is refused by name", async (idempotencyKey) => {
  const under = await routerOver();
  await expect(ask(under, under.acme, keyed(idempotencyKey))).rejects.toMatchObject({
    ...{ reason: "parameter_invalid", detail: { field: "idempotency_key" } },
  });
});

describe("what did not come to its end", () => {
  test("failed before its first token: a repetition is generated, and nothing was charged", async () => {
    let fail = true;
    const death = () => (fail ? ({ afterPieces: 0, reason: "context_too_long" } as const) : undefined);
    const under = await routerOver({ death });
    await expect(ask(under, under.acme, keyed())).rejects.toMatchObject({ reason: "context_too_long" });
    expect(under.claims).toEqual([]);
    fail = false;
    expect((await ask(under, under.acme, keyed())).length).toBeGreaterThan(0);
  });

  test("was cancelled in the middle: a repetition is generated under the same id, with the same text", async () => {
    const under = await routerOver();
    const pieces: GenerateResponse[] = [];
    for await (const piece of under.core.generate(under.acme, keyed(), never)) {
      pieces.push(piece);
      if (pieces.length === 3) break;
    }
    const whole = await ask(under, under.acme, keyed());
    expect(whole.slice(0, 3).map(({ tokenIds }) => tokenIds)).toEqual(pieces.map(({ tokenIds }) => tokenIds));
    expect(new Set(under.claims.map(({ requestId }) => requestId)).size).toBe(1);
  });

  test("and was waited for: the next in line has it generated, for all the others", async () => {
    let fail = true;
    const gate = Promise.withResolvers<void>();
    const death = () => {
      const failing = fail;
      fail = false;
      return failing ? ({ afterPieces: 0, reason: "context_too_long" } as const) : undefined;
    };
    const under = await routerOver({ death, pace: () => gate.promise });
    const all = Array.from({ length: 5 }, () => ask(under, under.acme, keyed()).then(read, reasonOf));
    gate.resolve();
    const answers = await Promise.all(all);
    expect(answers.filter((answer) => answer === "context_too_long").length).toBe(1);
    expect(under.node.generated.length).toBe(2);
  });

  test("is not waited for by who leaves", async () => {
    const gate = Promise.withResolvers<void>();
    const under = await routerOver({ pace: () => gate.promise });
    const running = ask(under, under.acme, keyed());
    await under.clock.advance(1);
    const leaving = new AbortController();
    const gone = new Fault("client_gone", "left");
    const left = expect(ask(under, under.acme, keyed(), leaving.signal)).rejects.toBe(gone);
    await under.clock.advance(1);
    leaving.abort(gone);
    await left;
    gate.resolve();
    await running;
    expect(under.slots.running).toBe(0);
  });
});

test("while the store is away a repetition may be generated again, but has the same id and text: it is charged once", async () => {
  const one = await routerOver({}, { store: AWAY });
  const other = await routerOver({}, { store: AWAY, holder: "router-2" });
  const [first, second] = [read(await ask(one, one.acme, keyed())), read(await ask(other, other.acme, keyed()))];
  expect(second).toEqual(first);
  expect(one.node.generated[0]!.sampling!.seed).toBe(other.node.generated[0]!.sampling!.seed);
});

test("an answer beyond a megabyte is not kept, and still charged once", async () => {
  const node = scriptedNode();
  const huge: NodeClient = {
    ...node,
    async *generate(request, signal) {
      for await (const piece of node.generate(request, signal)) yield { ...piece, text: "x".repeat(200_000) };
    },
  };
  const clock = new VirtualClock();
  const under = coreOver(new Map([[asNodeId("a"), huge]]), { clock, store: await openEmbeddedStore(":memory:", { clock }) });
  const acme = under.tenant("acme");
  await ask(under, acme, keyed("k", { seed: "3" }));
  await under.idempotency.settled();
  await ask(under, acme, keyed("k", { seed: "3" }));
  expect(node.generated.length).toBe(2);
  expect(new Set(under.claims.map(({ requestId }) => requestId)).size).toBe(1);
});
