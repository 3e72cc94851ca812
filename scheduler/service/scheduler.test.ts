import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BoundedQueue, type Fault, type Log, systemClock, systemRandom } from "#kernel";
import { ClusterServiceService, type GrpcChannel, openChannel, type ReportRequest, ReportRequest as ReportRequestMessage } from "#proto";
import { type RunningScheduler, startScheduler } from "./scheduler.ts";
import { watchSnapshot } from "./snapshot-watch.ts";

const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const base = "b".repeat(64);
const digest = (letter: string) => letter.repeat(64);

let registry: Registry;
let scheduler: RunningScheduler;
let channel: GrpcChannel;
beforeEach(async () => {
  scheduler = await start("127.0.0.1:0");
  channel = open("cluster-key");
});
afterEach(async () => {
  await channel[Symbol.asyncDispose]();
  await scheduler[Symbol.asyncDispose]();
});

const start = (listen: string, silenceMsMax = 60_000) => {
  registry = new Registry();
  return startScheduler(
    { clock: systemClock, random: systemRandom(), log: quiet, registry },
    { listen, clusterKey: "cluster-key", silenceMsMax },
  );
};
const open = (credential?: string) =>
  openChannel({ address: `127.0.0.1:${scheduler.port}`, clock: systemClock, ...(credential && { credential }) });

const report = (sequence: number, more: Partial<ReportRequest> = {}): ReportRequest =>
  ReportRequestMessage.create({
    nodeId: "node-1",
    address: "127.0.0.1:7001",
    epoch: "a",
    sequence,
    state: 2,
    full: sequence === 1,
    bases: [{ ...load, ...more.bases?.[0] }],
    ...more,
  });
const load = {
  name: "demo-base",
  digest: base,
  ...{ architecture: "llama", vocabularySize: 256, parameterCount: 1_000, weightType: "float32", directory: "base" },
  contextTokensMax: 2048,
  rankMax: 64,
  rowsRunning: 1,
  rowsMax: 16,
  queueDepth: 0,
  queueDepthMax: 32,
  slotsUsed: 1,
  slotsMax: 32,
  kvTokensUsed: 10,
  kvTokensMax: 65536,
  tokensPerSecond: 12.5,
  timing: undefined,
  engine: { provider: "webgpu", device: "A Device", weights: "float16", memoryBytes: 1_000, memoryBytesMax: 8_000 },
};
const held = {
  digest: digest("d"),
  tenantId: "acme",
  baseDigest: base,
  tier: 1,
  state: 2,
  rank: 8,
  sizeBytes: 100,
  references: 0,
  pinned: false,
} as const;

/** Sends these reports, and gives what came of the stream. */
function send(...reports: readonly ReportRequest[]): Promise<unknown> {
  return channel.clientStream(ClusterServiceService.report, from(reports)).catch((fault: unknown) => fault);
}

async function* from<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** A stream of reports that stays open. */
function reporting() {
  const queue = new BoundedQueue<ReportRequest>(100);
  const ended = channel.clientStream(ClusterServiceService.report, queue).catch((fault: unknown) => fault as Fault);
  return { queue, ended };
}

const until = (condition: () => boolean) => expect.poll(condition, { interval: 5, timeout: 5000 }).toBe(true);

describe("the scheduler", () => {
  it("tells routers what nodes report", async () => {
    const stop = new AbortController();
    const versions: number[] = [];
    const watch = watchSnapshot(channel, systemClock, ({ version }) => versions.push(version), stop.signal);
    expect(watch.ageMs()).toBeUndefined();
    const { queue, ended } = reporting();
    queue.offer(report(1, { deltas: [held] }));
    await until(() => watch.snapshot.nodes.size === 1);
    const [node] = watch.snapshot.nodes.values();
    expect(node).toMatchObject({ id: "node-1", address: "127.0.0.1:7001", state: "ready", epoch: "a" });
    expect(node?.bases.get(base as never)).toEqual((({ digest: _, ...rest }) => rest)(load));
    expect(node?.deltas.get(held.digest as never)).toMatchObject({ tier: "slot", state: "ready", rank: 8 });
    queue.offer(report(2, { removedDigests: [held.digest] }));
    await until(() => [...watch.snapshot.nodes.values()][0]?.deltas.size === 0);
    expect(versions).toEqual([...versions].sort((one, other) => one - other));
    expect(await registry.metrics()).toMatch(/deltaplane_nodes\{state="ready"\} 1\n/);
    expect(await registry.metrics()).toMatch(/deltaplane_snapshot_watchers 1\n/);
    queue.finish();
    expect(await ended).toEqual({});
    expect(scheduler.snapshot().nodes.size).toBe(1); // The end of a stream does not make a node gone.
    expect(watch.ageMs()).toBeGreaterThanOrEqual(0);
    stop.abort();
    await watch.done;
  });

  it("lets a node go when it has been silent", async () => {
    await scheduler[Symbol.asyncDispose]();
    scheduler = await start(`127.0.0.1:${scheduler.port}`, 100);
    const { queue, ended } = reporting();
    queue.offer(report(1));
    await until(() => scheduler.snapshot().nodes.size === 1);
    await until(() => scheduler.snapshot().nodes.size === 0);
    queue.offer(report(2));
    expect(await ended).toMatchObject({ reason: "report_rejected" });
  });

  it("refuses reports that are out of order or impossible, names the field, and keeps what it knew", async () => {
    expect(await send(report(1))).toEqual({});
    expect(await send(report(2))).toMatchObject({ reason: "report_rejected" });
    expect(await send(report(1), report(3))).toMatchObject({ reason: "report_rejected" });
    const bad: readonly (readonly [Partial<ReportRequest>, string])[] = [
      [{ nodeId: "../etc" }, "node_id"],
      [{ address: "nowhere" }, "address"],
      [{ epoch: "" }, "epoch"],
      [{ state: 0 }, "state"],
      [{ bases: [{ ...load, digest: "short" }] }, "bases.digest"],
      [{ bases: [{ ...load, rowsRunning: 17 }] }, "bases.rowsRunning"],
      [{ bases: [{ ...load, queueDepth: 33 }] }, "bases.queueDepth"],
      [{ bases: [{ ...load, tokensPerSecond: Number.NaN }] }, "bases.tokensPerSecond"],
      [{ bases: [{ ...load, tokensPerSecond: -1 }] }, "bases.tokensPerSecond"],
      [{ deltas: [{ ...held, digest: "__proto__" }] }, "deltas.digest"],
      [{ deltas: [{ ...held, sizeBytes: 2 ** 50 }] }, "deltas.size_bytes"],
      [{ deltas: [{ ...held, tier: 9 as never }] }, "tier"],
      [{ removedDigests: ["x"] }, "removed_digests"],
    ];
    for (const [more, field] of bad)
      expect(await send(report(1, { epoch: "b", ...more }))).toMatchObject({ reason: "message_malformed", detail: { field } });
    expect([...scheduler.snapshot().nodes.values()].map(({ epoch }) => epoch)).toEqual(["a"]);
    expect(await registry.metrics()).toMatch(/deltaplane_node_reports_total\{result="rejected"\} 15\n/);
  });

  it("speaks only to those who have the cluster key", async () => {
    for (const [credential, reason] of [
      [undefined, "key_missing"],
      ["wrong", "key_unknown"],
    ] as const) {
      await using stranger = open(credential);
      await expect(stranger.clientStream(ClusterServiceService.report, from([report(1)]))).rejects.toMatchObject({ reason });
      const watch = stranger.serverStream(ClusterServiceService.watchSnapshot, {})[Symbol.asyncIterator]();
      await expect(watch.next()).rejects.toMatchObject({ reason });
    }
    expect(scheduler.snapshot().nodes.size).toBe(0);
  });

  it("may go away: a router keeps the last snapshot, and follows the next scheduler", async () => {
    const stop = new AbortController();
    const watch = watchSnapshot(channel, systemClock, () => undefined, stop.signal);
    await send(report(1, { deltas: [held] }));
    await until(() => watch.snapshot.nodes.size === 1);
    const { port } = scheduler;
    await scheduler[Symbol.asyncDispose]();
    await until(() => watch.lastFault !== undefined);
    expect(watch.snapshot.nodes.size).toBe(1);
    scheduler = await start(`127.0.0.1:${port}`);
    await until(() => watch.snapshot.nodes.size === 0);
    await send(report(1, { nodeId: "node-2" }));
    await until(() => [...watch.snapshot.nodes.keys()].join() === "node-2");
    stop.abort();
    await watch.done;
  });
});
