import { afterEach, describe, expect, test } from "vitest";
import { asDeltaDigest, asTenantId, type DeltaDigest, Fault, type NodeView, type Residency, systemClock, VirtualClock } from "#kernel";
import { type Alias, GenerateRequest, type GrpcChannel, InferenceServiceService, ModelServiceService, type PushDeltaRequest } from "#proto";
import type { DeltaRecord } from "../catalog/index.ts";
import type { NodeClient } from "../nodes/index.ts";
import { BASE_DIGEST, BASE_NAME, nodeView, snapshotOf } from "../testing/cluster-of.ts";
import { type RouterUnderTest, runRouter } from "../testing/running-router.ts";
import { scriptedNode } from "../testing/scripted-node.ts";
import { type FollowDeps, followResidency } from "./follow-residency.ts";

/** A node that keeps what it is told to load, and notes what it was asked for before. */
class RememberingNode {
  readonly resident = new Set<string>();
  /** Digests that requests came for while they were not resident. */
  readonly cold: string[] = [];
  readonly client: NodeClient;

  constructor(loadMs: number) {
    const scripted = scriptedNode();
    this.client = {
      ...scripted,
      attach: async ({ delta }, signal) => {
        if (!this.resident.has(delta!.digest)) await systemClock.after(loadMs, signal);
        this.resident.add(delta!.digest);
      },
      generate: (request, signal) => {
        const digest = request.delta?.digest;
        if (digest !== undefined && !this.resident.has(digest)) this.cold.push(digest);
        return scripted.generate(request, signal);
      },
    };
  }

  view(id: string): NodeView {
    return nodeView(id, { deltas: new Map([...this.resident].map((digest) => [asDeltaDigest(digest), residencyOf("ram")])) });
  }
}

function residencyOf(tier: Residency["tier"], state: Residency["state"] = "ready"): Residency {
  return { tier, state, tenantId: asTenantId("acme"), baseDigest: BASE_DIGEST, rank: 8, sizeBytes: 1, references: 0, pinned: false };
}

let stack: AsyncDisposableStack;
afterEach(() => stack[Symbol.asyncDispose]());

/** A router over nodes whose residency it hears of a tenth of a second late, and a tenant's channel. */
async function clusterOf(nodes: Readonly<Record<string, RememberingNode>>): Promise<{ under: RouterUnderTest; acme: GrpcChannel }> {
  stack = new AsyncDisposableStack();
  const under = stack.use(await runRouter(Object.fromEntries(Object.entries(nodes).map(([id, node]) => [id, node.client]))));
  const stop = new AbortController();
  let version = 1;
  const publish = async () => {
    while (!stop.signal.aborted) {
      under.cluster.set(
        snapshotOf(
          Object.entries(nodes).map(([id, node]) => node.view(id)),
          ++version,
        ),
      );
      await systemClock.after(100, stop.signal).catch(() => undefined);
    }
  };
  const published = publish();
  stack.defer(async () => {
    stop.abort();
    await published;
  });
  return { under, acme: under.channel((await under.tenantKey("acme")).text) };
}

async function push(channel: GrpcChannel, name: string, weights: string): Promise<string> {
  const upload = async function* (): AsyncGenerator<PushDeltaRequest> {
    yield { part: { $case: "header", value: { base: BASE_NAME, name, tenantId: "" } } };
    yield { part: { $case: "config", value: Buffer.from("{}") } };
    yield { part: { $case: "weights", value: Buffer.from(weights) } };
  };
  return (await channel.clientStream(ModelServiceService.pushDelta, upload())).delta!.name;
}

async function modelServed(channel: GrpcChannel, model: string): Promise<string> {
  const wish = GenerateRequest.fromPartial({
    model,
    prompt: { kind: { $case: "text", value: "hello" } },
    sampling: { maxTokens: 2 },
  });
  return (await Array.fromAsync(channel.serverStream(InferenceServiceService.generate, wish))).at(-1)!.model;
}

const point = async (channel: GrpcChannel, name: string, ...deltas: string[]): Promise<Alias> => {
  const targets = deltas.map((delta) => ({ delta, weight: 1 }));
  return (await channel.unary(ModelServiceService.setAlias, { alias: { name, targets, previous: [] } })).alias!;
};

describe("under load", () => {
  test("a switch, and the way back, never let a request meet a cold delta", async () => {
    const nodes = { a: new RememberingNode(20), b: new RememberingNode(500) };
    const { acme } = await clusterOf(nodes);
    const [one, two] = [await push(acme, "one", "1"), await push(acme, "two", "2")];
    await point(acme, "acme/bot", one);
    const { delta: first } = await acme.unary(ModelServiceService.getDelta, { name: one });
    for (const node of Object.values(nodes)) node.resident.add(first!.reference!.digest);
    await systemClock.after(150); // Until the router has heard of it.

    const served: string[] = [];
    let over = false;
    const client = async () => {
      while (!over) served.push(await modelServed(acme, "acme/bot"));
    };
    const clients = Array.from({ length: 8 }, client);
    await point(acme, "acme/bot", two);
    for (const node of Object.values(nodes)) expect(node.resident.size).toBe(2);
    const before = served.length;
    await expect.poll(() => served.length).toBeGreaterThan(before + 50);
    await acme.unary(ModelServiceService.rollBackAlias, { name: "acme/bot" });
    await expect.poll(() => served.at(-1)).toBe(one);
    over = true;
    await Promise.all(clients);
    expect(new Set(served)).toEqual(new Set([one, two]));
    expect(served[0]).toBe(one);
    expect(Object.values(nodes).flatMap((node) => node.cold)).toEqual([]);
  });
});

describe("an alias", () => {
  test("remembers what it pointed at, ten times back, and goes back one change at a time", async () => {
    const { acme } = await clusterOf({ a: new RememberingNode(0) });
    const names = [await push(acme, "one", "1"), await push(acme, "two", "2"), await push(acme, "three", "3")];
    await point(acme, "acme/bot", names[0]!);
    await point(acme, "acme/bot", names[0]!);
    await point(acme, "acme/bot", names[1]!);
    const last = await point(acme, "acme/bot", names[1]!, names[2]!);
    expect(last.previous.map(({ targets }) => targets.map(({ delta }) => delta))).toEqual([[names[1]], [names[0]]]);
    const back = async () => (await acme.unary(ModelServiceService.rollBackAlias, { name: "acme/bot" })).alias!.targets.map((t) => t.delta);
    expect(await back()).toEqual([names[1]]);
    expect(await back()).toEqual([names[0]]);
    await expect(back()).rejects.toMatchObject({ reason: "resource_unknown" });
    for (let turn = 0; turn < 12; turn++) await point(acme, "acme/bot", names[turn % 2 === 0 ? 1 : 0]!);
    const { aliases } = await acme.unary(ModelServiceService.listAliases, {});
    expect(aliases.find(({ name }) => name === "acme/bot")?.previous.length).toBe(10);
  });

  test("keeps what it points at from being removed, but not what it pointed at before; to that it can't go back", async () => {
    const { acme } = await clusterOf({ a: new RememberingNode(0) });
    const [one, two] = [await push(acme, "bot", "1"), await push(acme, "bot", "2")];
    const remove = (name: string) => acme.unary(ModelServiceService.removeDelta, { name });
    await expect(remove(two)).rejects.toMatchObject({ reason: "resource_in_use", detail: { resource: "acme/bot" } });
    await remove(one);
    await expect(acme.unary(ModelServiceService.rollBackAlias, { name: "acme/bot" })).rejects.toMatchObject({ reason: "model_unknown" });
    expect(await modelServed(acme, "acme/bot")).toBe(two);
  });

  test("stays when a node can't load the new delta", async () => {
    const node = new RememberingNode(0);
    const { acme } = await clusterOf({ a: node });
    const one = await push(acme, "one", "1");
    await point(acme, "acme/bot", one);
    await expect.poll(() => node.resident.size).toBe(1);
    await systemClock.after(150); // Until the router has heard of it.
    node.client.attach = () => Promise.reject(new Fault("delta_unavailable", "damaged"));
    const two = await push(acme, "two", "2");
    await expect(point(acme, "acme/bot", two)).rejects.toMatchObject({ reason: "delta_unavailable", message: "damaged" });
    expect(await modelServed(acme, "acme/bot")).toBe(one);
  });
});

describe("following residency", () => {
  const [OLD, NEW] = ["0", "1"].map((digit) => asDeltaDigest(digit.repeat(64))) as [DeltaDigest, DeltaDigest];
  const delta = { digest: NEW, tenantId: asTenantId("acme"), baseDigest: BASE_DIGEST, baseName: BASE_NAME, suffix: "x" } as DeltaRecord;

  function setUp(views: () => readonly NodeView[], attach: (node: NodeView) => Promise<void>) {
    const clock = new VirtualClock();
    const asked: string[] = [];
    const clientOf = (node: NodeView) => ({
      attach: async () => {
        asked.push(node.id);
        await attach(node);
      },
    });
    const place = () => ({ node: nodeView("home"), [Symbol.dispose]: () => undefined });
    const deps = { clock, snapshot: () => snapshotOf(views()), dispatcher: { clientOf, place } } as unknown as FollowDeps;
    return { clock, asked, followed: followResidency(deps, [OLD], [delta], new AbortController().signal) };
  }
  const holding = (id: string, ...held: readonly [DeltaDigest, Residency][]) => nodeView(id, { deltas: new Map(held) });

  test("asks the nodes that have the old one at hand, and waits until it has heard that they have the new one", async () => {
    let heard = false;
    const fresh: readonly [DeltaDigest, Residency][] = [[NEW, residencyOf("slot")]];
    const { clock, asked, followed } = setUp(
      () => [
        holding("slot", [OLD, residencyOf("slot")], ...(heard ? fresh : [])),
        holding("ram", [OLD, residencyOf("ram")], ...(heard ? fresh : [])),
        holding("disk", [OLD, residencyOf("disk")]),
        holding("nothing"),
      ],
      async () => undefined,
    );
    const done = followed.then(() => clock.monotonic());
    await clock.advance(1_000);
    heard = true;
    await clock.advance(200);
    expect(await done).toBeGreaterThanOrEqual(1_000);
    expect(new Set(asked)).toEqual(new Set(["slot", "ram"]));
  });

  test("loads at home when the old one is nowhere at hand", async () => {
    const { asked, followed } = setUp(
      () => [holding("disk", [OLD, residencyOf("disk")]), holding("leaving", [OLD, residencyOf("ram", "evicting")])],
      async () => undefined,
    );
    await followed;
    expect(asked).toEqual(["home"]);
  });

  test("has nothing to do without a node", async () => {
    const { asked, followed } = setUp(
      () => [nodeView("starting", { state: "starting" })],
      async () => undefined,
    );
    await followed;
    expect(asked).toEqual([]);
  });

  test("does not wait for a node that goes away", async () => {
    let gone = false;
    const both = [holding("a", [OLD, residencyOf("ram")], [NEW, residencyOf("ram")]), holding("b", [OLD, residencyOf("ram")])];
    const { clock, followed } = setUp(
      () => (gone ? both.slice(0, 1) : both),
      () => Promise.reject(new Fault("node_lost", "the node went away")),
    );
    await clock.advance(500);
    gone = true;
    await clock.advance(200);
    await followed;
  });

  test("gives up after half a minute, and says so", async () => {
    const { clock, followed } = setUp(
      () => [holding("a", [OLD, residencyOf("ram")])],
      async () => undefined,
    );
    const fault = followed.catch((error: unknown) => error);
    await clock.advance(31_000);
    expect(await fault).toMatchObject({ reason: "delta_unavailable", message: expect.stringContaining("nothing was switched") });
  });
});
