import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { asNodeId, Fault, isFault, type NodeId, VirtualClock } from "#kernel";
import { FinishReason, type GenerateResponse } from "#proto";
import type { NodeClient } from "../nodes/index.ts";
import { BASE_NAME, snapshotOf } from "../testing/cluster-of.ts";
import { coreOver as anyCoreOver, type CoreOptions, generateRequest as request } from "../testing/core-under-test.ts";
import { type Death, PROMPT_TOKENS, scriptedNode } from "../testing/scripted-node.ts";

/** A core with one tenant, and few slots for it. */
function coreOver(nodes: ReadonlyMap<NodeId, NodeClient>, options: CoreOptions = {}) {
  const under = anyCoreOver(nodes, { requestLimits: { requestsMax: 4, requestsPerTenantMax: 2 }, ...options });
  return { ...under, acme: under.tenant("acme") };
}

/** What a reader has in the end: text, tokens and finish reason of each choice. */
function read(pieces: readonly GenerateResponse[], n: number) {
  return Array.from({ length: n }, (_, choice) => {
    const own = pieces.filter((piece) => piece.choice === choice);
    return {
      text: own.map((piece) => piece.text).join(""),
      tokens: own.flatMap((piece) => piece.tokenIds),
      finish: own.filter((piece) => piece.finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED).map((piece) => piece.finishReason),
    };
  });
}

async function all(pieces: AsyncIterable<GenerateResponse>): Promise<GenerateResponse[]> {
  return Array.fromAsync(pieces);
}

/** Four nodes that die as the list says, whichever of them comes to serve the first, second, … attempt. */
function dyingNodes(deaths: readonly Death[]): ReadonlyMap<NodeId, NodeClient> {
  const script = { death: ({ attempt }: { attempt: number }) => deaths[attempt - 1] };
  return new Map(["a", "b", "c", "d"].map((id) => [asNodeId(id), scriptedNode(script)]));
}

const death: fc.Arbitrary<Death> = fc.oneof(
  fc.record({ afterPieces: fc.nat(30), reason: fc.constantFrom("node_lost", "engine_lost", "node_draining", "early_end") }),
  // A node without room says so before its first piece.
  fc.record({ afterPieces: fc.constant(0), reason: fc.constantFrom("queue_full", "capacity_exhausted", "delta_unavailable") }),
);

describe("whenever nodes die", () => {
  test("the reader gets every token once, the bill says so, and the last claim comes before the last piece", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(death, { maxLength: 3 }), fc.integer({ min: 1, max: 4 }), fc.nat(), async (deaths, n, seed) => {
        const wish = request({ n, seed: String(seed) });
        const calm = coreOver(dyingNodes([]));
        const undisturbed = read(await all(calm.core.generate(calm.acme, wish, new AbortController().signal)), n);
        const { core, claims, slots, acme } = coreOver(dyingNodes(deaths));
        const pieces: GenerateResponse[] = [];
        let settledBeforeLast = false;
        for await (const piece of core.generate(acme, wish, new AbortController().signal)) {
          pieces.push(piece);
          settledBeforeLast = claims.at(-1)?.outcome === "completed";
        }
        expect(read(pieces, n)).toEqual(undisturbed);
        const handed = pieces.reduce((sum, piece) => sum + piece.tokenIds.length, 0);
        const usage = { promptTokens: PROMPT_TOKENS, cachedTokens: 2, completionTokens: handed };
        expect(pieces.at(-1)?.usage).toEqual(usage);
        expect(settledBeforeLast).toBe(true);
        expect(claims.at(-1)).toMatchObject({ outcome: "completed", usage, tenantId: "acme", model: BASE_NAME });
        expect(new Set(claims.map((claim) => claim.requestId)).size).toBe(1);
        expect(slots.running).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("the last piece waits for two claims, its node's and ours, which are written at the same time", async () => {
    const disks = { node: Promise.withResolvers<void>(), router: Promise.withResolvers<void>() };
    const begun: string[] = [];
    const write = (whose: "node" | "router") => {
      begun.push(whose);
      return disks[whose].promise;
    };
    const node = scriptedNode({ ending: () => write("node") });
    const { core, acme } = coreOver(new Map([[asNodeId("a"), node]]), { onClaim: () => write("router") });
    let left = false;
    const piece = core
      .generate(acme, request({ maxTokens: 1 }), new AbortController().signal)
      [Symbol.asyncIterator]()
      .next()
      .then(() => {
        left = true;
      });
    await vi.waitFor(() => expect(new Set(begun)).toEqual(new Set(["node", "router"])));
    disks.router.resolve();
    await new Promise(setImmediate);
    expect(left).toBe(false);
    disks.node.resolve();
    await piece;
    expect(left).toBe(true);
  });

  test("a node that is lost between its last piece and its claim costs the reader nothing", async () => {
    const node = scriptedNode({ ending: () => Promise.reject(new Fault("node_lost", "as scripted")) });
    const { core, claims, acme } = coreOver(new Map([[asNodeId("a"), node]]));
    const pieces = await all(core.generate(acme, request({ maxTokens: 2 }), new AbortController().signal));
    expect(pieces).toHaveLength(2);
    expect(claims.at(-1)).toMatchObject({ outcome: "completed", usage: { completionTokens: 2 } });
  });

  test("a reader that leaves is billed for the pieces it took, and the node's work ends", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(death, { maxLength: 2 }), fc.integer({ min: 1, max: 30 }), async (deaths, leaveAfter) => {
        const { core, claims, slots, acme } = coreOver(dyingNodes(deaths));
        let taken = 0;
        let tokens = 0;
        let last: GenerateResponse | undefined;
        for await (const piece of core.generate(acme, request(), new AbortController().signal)) {
          tokens += piece.tokenIds.length;
          last = piece;
          if (++taken === leaveAfter) break;
        }
        expect(claims.at(-1)?.usage.completionTokens).toBe(tokens);
        const finished = last?.finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED;
        expect(claims.at(-1)?.outcome).toBe(finished ? "completed" : "cancelled");
        expect(slots.running).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});

test("a request that fails on four nodes ends with the last one's fault, and costs what it was given", async () => {
  const deaths: Death[] = [3, 2, 0, 1].map((afterPieces) => ({ afterPieces, reason: "node_lost" }));
  const { core, claims, acme } = coreOver(dyingNodes(deaths));
  await expect(all(core.generate(acme, request(), new AbortController().signal))).rejects.toMatchObject({ reason: "node_lost" });
  expect(claims.at(-1)).toMatchObject({ outcome: "failed", attempt: 4, usage: { completionTokens: 6 } });
});

test("a fault of the request itself is not tried again, and before the first token it costs nothing", async () => {
  const nodes = dyingNodes([{ afterPieces: 0, reason: "context_too_long" }]);
  const { core, claims, acme } = coreOver(nodes);
  await expect(all(core.generate(acme, request(), new AbortController().signal))).rejects.toMatchObject({
    reason: "context_too_long",
  });
  expect(claims).toEqual([]);
});

test("a full node in the middle of a text is not one that died: the fault reaches the reader", async () => {
  const { core, acme } = coreOver(dyingNodes([{ afterPieces: 2, reason: "capacity_exhausted" }]));
  await expect(all(core.generate(acme, request(), new AbortController().signal))).rejects.toMatchObject({
    reason: "capacity_exhausted",
  });
});

test("with nobody else there the request waits until its node reports again", async () => {
  const clock = new VirtualClock();
  const id = asNodeId("only");
  const node = scriptedNode({ death: ({ attempt }) => (attempt === 1 ? { afterPieces: 4, reason: "engine_lost" } : undefined) });
  const nodes = new Map<NodeId, NodeClient>([[id, node]]);
  const { core, cluster, acme } = coreOver(nodes, { clock });
  const pieces = all(core.generate(acme, request(), new AbortController().signal));
  await clock.advance(2000);
  expect(node.generated.length).toBe(1);
  const view = cluster.snapshot.nodes.get(id)!;
  cluster.set(snapshotOf([{ ...view, reportedAt: 2000 }], 2));
  await clock.advance(200);
  expect(node.generated.length).toBe(2);
  const undisturbed = await all(coreOver(new Map([[id, scriptedNode()]])).core.generate(acme, request(), new AbortController().signal));
  expect(read(await pieces, 1)).toEqual(read(undisturbed, 1));
});

test("nobody waits for ever: after five seconds without a node the request fails", async () => {
  const clock = new VirtualClock();
  const node = scriptedNode({ death: () => ({ afterPieces: 1, reason: "node_lost" }) });
  const { core, acme } = coreOver(new Map([[asNodeId("only"), node]]), { clock });
  const failed = all(core.generate(acme, request(), new AbortController().signal)).catch((error: unknown) => error);
  await clock.advance(6000);
  expect(isFault(await failed, "no_ready_node")).toBe(true);
});

test("what has no seed gets one, and every attempt the same", async () => {
  const nodes = dyingNodes([{ afterPieces: 0, reason: "node_lost" }]);
  const { core, acme } = coreOver(nodes);
  await all(core.generate(acme, request({ seed: undefined }), new AbortController().signal));
  const seeds = [...nodes.values()].flatMap((node) =>
    (node as ReturnType<typeof scriptedNode>).generated.map((sent) => sent.sampling?.seed),
  );
  expect(seeds.length).toBe(2);
  expect(seeds[0]).toMatch(/^\d+$/);
  expect(seeds[1]).toBe(seeds[0]);
});

test("cancellation is the signal's own reason, and the bill says cancelled", async () => {
  const { core, claims, acme } = coreOver(dyingNodes([]));
  const cancel = new AbortController();
  const gone = new Fault("client_gone", "left");
  const pieces = core.generate(acme, request(), cancel.signal)[Symbol.asyncIterator]();
  await pieces.next();
  await pieces.next();
  cancel.abort(gone);
  await expect(pieces.next()).rejects.toBe(gone);
  expect(claims.at(-1)).toMatchObject({ outcome: "cancelled", usage: { completionTokens: 2 } });
});

test("nothing of a request waits behind the limit: the third of a tenant is refused at once", async () => {
  const { core, acme } = coreOver(dyingNodes([]));
  const open = [0, 1].map(() => core.generate(acme, request(), new AbortController().signal)[Symbol.asyncIterator]());
  await Promise.all(open.map((pieces) => pieces.next()));
  await expect(all(core.generate(acme, request(), new AbortController().signal))).rejects.toMatchObject({ reason: "queue_full" });
  await Promise.all(open.map((pieces) => pieces.return?.()));
  expect((await all(core.generate(acme, request(), new AbortController().signal))).length).toBeGreaterThan(0);
});

test("an outbox that takes no claims stops the text: what can't be billed is not served", async () => {
  const { core, acme } = coreOver(dyingNodes([]), { onClaim: () => Promise.reject(new Fault("store_unreachable", "the disk is full")) });
  const pieces: GenerateResponse[] = [];
  const served = async () => {
    for await (const piece of core.generate(acme, request(), new AbortController().signal)) pieces.push(piece);
  };
  await expect(served()).rejects.toMatchObject({ reason: "store_unreachable" });
  expect(pieces.every((piece) => piece.finishReason === FinishReason.FINISH_REASON_UNSPECIFIED)).toBe(true);
});
