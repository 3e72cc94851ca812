import { basename } from "node:path";
import type { BenchRow } from "#bench";
import { asDeltaDigest, MIB, type Random, seededRandom, systemClock } from "#kernel";
import { openCheckpoint } from "#model";
import { AdminServiceService, type BaseTiming, type GrpcChannel, ModelServiceService, openChannel, Scope } from "#proto";
import { hashText } from "#scheduler";
import { NODE_MODELS, type NodeModel, POLICIES, simulate, TIER_NAMES, type Workload } from "#scheduler/sim";
import { type BenchCluster, startBenchCluster } from "../../bench/cluster.ts";
import { CACHE_DIRECTORY } from "../../bench/generated-cache.ts";
import { generatedBase, generatedDeltas } from "../../bench/generated-model.ts";
import { SHAPE_TINY } from "../../bench/generated-shapes.ts";
import { pushParts } from "../../cli/push-delta.ts";
import { askOverGrpc } from "./grpc-client.ts";
import { pause } from "./patience.ts";
import { scrape } from "./prometheus-text.ts";
import type { Violation } from "./storm-check.ts";

export interface SimulatorComparisonOptions {
  readonly seed: number;
  /** Of the workload; its first fifth is warm-up. */
  readonly seconds: number;
  readonly progress: (line: string) => void;
}

export interface SimulatorComparison {
  readonly rows: readonly BenchRow[];
  readonly summary: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
}

type HitShares = Readonly<Record<"slot" | "ram" | "disk or farther", number>>;

const NODES = 4;
const DELTAS = 200;
const RANK = 8;
/** Three deltas for each slot of the cluster. */
const SLOTS = 16;
const ROWS = 8;
/** In memory as float32, of the tiny base: 32 KiB. A node's RAM holds some dozens. */
const RAM_MIB = 2;
/** Nothing queues: what is compared is where deltas are found. */
const REQUESTS_PER_SECOND = 10;
const SKEW = 1;
const OUTPUT_TOKENS = 16;
const PROMPT = "a prompt of some words, the same for all";
const WARM_UP_SHARE = 0.2;
const DIFFERENCE_MAX = 0.05;
/** A router lets a request leave its delta's nodes when its first token would take a quarter of a second there; the simulator's takes a quarter of this. */
const SLO_MS = 1000;
const TENANT = "crowd";
const FAULTS_TOLD_MAX = 5;

/** The live embedded cluster and the simulator under the same arrivals: both hit shares per tier are to be within five points. */
export async function compareWithSimulator({ seed, seconds, progress }: SimulatorComparisonOptions): Promise<SimulatorComparison> {
  const baseDirectory = await generatedBase(CACHE_DIRECTORY, SHAPE_TINY);
  const { info } = await openCheckpoint(baseDirectory, { name: basename(baseDirectory) });
  const folders = await generatedDeltas(CACHE_DIRECTORY, info, { rank: RANK, count: DELTAS });
  const limits = { DELTAPLANE_SLOTS: String(SLOTS), DELTAPLANE_RAM_MIB: String(RAM_MIB), DELTAPLANE_ROWS: String(ROWS) };
  await using cluster = await startBenchCluster({ baseDirectory, threads: 1, nodes: NODES, environment: limits });
  await using admin = openChannel({ address: cluster.adminAddress, credential: cluster.adminKey, clock: systemClock });
  const key = await addTenantKey(admin);
  await using channel = openChannel({ address: cluster.grpcAddress, credential: key, clock: systemClock });
  const deltas = await pushAll(channel, cluster.baseName, folders);
  progress(`seed ${seed}: ${DELTAS} deltas are on ${NODES} nodes`);

  const arrivals = drawArrivals(seededRandom(seed).fork("arrivals"), seconds * 1000);
  const live = await runLive(cluster, channel, deltas, arrivals);
  progress(`live: ${arrivals.length} requests, ${live.failed} failed${live.faults}`);
  const timing = await meanTiming(admin);
  const model = calibrated(timing, live.promptTokens);
  const sizeBytes = RANK * info.linears.reduce((sum, { inputSize, outputSize }) => sum + inputSize + outputSize, 0) * 4;
  const simulated = runSimulated(model, { arrivals, deltas, sizeBytes, seconds, promptTokens: live.promptTokens }, seed);
  progress(
    `simulated with a step of ${model.stepMs.toFixed(1)} ms, loads of ${timing.slotLoadMs.toFixed(1)}, ${timing.ramLoadMs.toFixed(1)}, ${timing.diskLoadMs.toFixed(1)} ms`,
  );
  return compared(live.shares, simulated, { requests: arrivals.length, failed: live.failed, ...summaryOf(timing) });
}

interface PushedDelta {
  readonly model: string;
  readonly digest: string;
}

async function addTenantKey(admin: GrpcChannel): Promise<string> {
  await admin.unary(AdminServiceService.createTenant, { id: TENANT });
  const wish = { tenantId: TENANT, projectId: "", name: "", expiresAtMs: 0, scopes: [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN] };
  return (await admin.unary(AdminServiceService.createKey, wish)).secret;
}

async function pushAll(channel: GrpcChannel, base: string, folders: readonly string[]): Promise<readonly PushedDelta[]> {
  const pushed: PushedDelta[] = [];
  for (const [index, folder] of folders.entries()) {
    const parts = pushParts(folder, { base, name: `delta-${index}`, tenantId: TENANT });
    const { alias, delta } = await channel.clientStream(ModelServiceService.pushDelta, parts);
    pushed.push({ model: alias, digest: delta!.reference!.digest });
  }
  return pushed;
}

interface Arrival {
  readonly atMs: number;
  readonly delta: number;
}

/** Poisson arrivals, deltas by Zipf. */
function drawArrivals(random: Random, durationMs: number): readonly Arrival[] {
  const weights = Array.from({ length: DELTAS }, (_, rank) => (rank + 1) ** -SKEW);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const draw = () => {
    let left = random.float() * total;
    const delta = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    return delta < 0 ? DELTAS - 1 : delta;
  };
  const arrivals: Arrival[] = [];
  for (let atMs = 0; ; ) {
    atMs += (-Math.log(1 - random.float()) * 1000) / REQUESTS_PER_SECOND;
    if (atMs >= durationMs) return arrivals;
    arrivals.push({ atMs, delta: draw() });
  }
}

async function runLive(cluster: BenchCluster, channel: GrpcChannel, deltas: readonly PushedDelta[], arrivals: readonly Arrival[]) {
  const warmUntilMs = WARM_UP_SHARE * arrivals.at(-1)!.atMs;
  let before: readonly number[] | undefined;
  const sent: ReturnType<typeof askOverGrpc>[] = [];
  const startedAt = performance.now();
  for (const [index, { atMs, delta }] of arrivals.entries()) {
    if (before === undefined && atMs >= warmUntilMs) before = await firstTokens(cluster);
    const waitMs = startedAt + atMs - performance.now();
    if (waitMs > 0) await pause(waitMs);
    const ask = { model: deltas[delta]!.model, prompt: PROMPT, maxTokens: OUTPUT_TOKENS, temperature: 0, seed: index, ignoreEos: true };
    sent.push(askOverGrpc(channel, ask));
  }
  const attempts = await Promise.all(sent);
  const after = await firstTokens(cluster);
  const counts = after.map((count, index) => count - before![index]!);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const [slot, ram, cold] = counts.map((count) => count / total) as [number, number, number];
  return {
    shares: { slot, ram, "disk or farther": cold } satisfies HitShares,
    failed: attempts.filter(({ ending }) => ending !== "completed").length,
    faults: [...new Set(attempts.flatMap(({ fault }) => fault ?? []))]
      .slice(0, FAULTS_TOLD_MAX)
      .map(({ reason, message }) => `\n  ${reason}: ${message}`)
      .join(""),
    promptTokens: attempts.find(({ usage }) => usage)!.usage!.promptTokens,
  };
}

/** How many requests so far found their delta hot, warm, cold. */
async function firstTokens({ metrics }: BenchCluster): Promise<readonly number[]> {
  const read = await scrape(metrics);
  return ["hot", "warm", "cold"].map((residency) => read.sum("deltaplane_time_to_first_token_seconds_count", { residency }) ?? 0);
}

/** What the nodes have measured of themselves. */
async function meanTiming(admin: GrpcChannel): Promise<BaseTiming> {
  const { nodes } = await admin.unary(AdminServiceService.getCluster, {});
  const timings = nodes.flatMap(({ view }) => view!.bases.flatMap(({ timing }) => timing ?? []));
  const fields = Object.keys(timings[0]!) as (keyof BaseTiming)[];
  const mean = (field: keyof BaseTiming) => timings.reduce((sum, timing) => sum + timing[field], 0) / timings.length;
  return Object.fromEntries(fields.map((field) => [field, mean(field)])) as unknown as BaseTiming;
}

/** The simulator's node with this machine's constants. */
function calibrated(timing: BaseTiming, promptTokens: number): NodeModel {
  const link = (fixedMs: number) => ({ fixedMs, bytesPerMs: 1e9 });
  return {
    ...NODE_MODELS["cpu-32m"]!,
    ...{ name: "this machine", source: "the live nodes' own measurements", rowsMax: ROWS, sloMs: SLO_MS },
    ...{ stepMs: timing.stepMs, rowMs: timing.rowMs, promptTokenMs: timing.promptTokenMs, deltaRowMs: 0, packedRankMs: 0, paddedRankMs: 0 },
    links: { slot: link(timing.slotLoadMs), ram: link(timing.ramLoadMs), disk: link(timing.diskLoadMs) },
    promptTokens: { logMean: Math.log(promptTokens), logDeviation: 0, max: promptTokens },
    outputTokens: { logMean: Math.log(OUTPUT_TOKENS), logDeviation: 0, max: OUTPUT_TOKENS },
  };
}

interface SimulatedLoad {
  readonly arrivals: readonly Arrival[];
  readonly deltas: readonly PushedDelta[];
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly promptTokens: number;
}

/** Our policy on nodes like the live ones, and the deltas pushed as live: all are loaded where they belong before the first request comes. */
function runSimulated(model: NodeModel, { arrivals, deltas, sizeBytes, seconds, promptTokens }: SimulatedLoad, seed: number): HitShares {
  const count = arrivals.length;
  const { slot, ram, disk } = model.links;
  const pushedMs = deltas.length * (slot.fixedMs + ram.fixedMs + disk.fixedMs);
  const workload: Workload = {
    ...{ name: "simulator-comparison", durationMs: pushedMs + seconds * 1000, requestCount: count },
    arrivedAtMs: Float64Array.from(arrivals, ({ atMs }) => pushedMs + atMs),
    delta: Int32Array.from(arrivals, ({ delta }) => delta),
    promptTokens: new Int32Array(count).fill(promptTokens),
    outputTokens: new Int32Array(count).fill(OUTPUT_TOKENS),
    deltas: {
      count: deltas.length,
      rank: new Int32Array(deltas.length).fill(RANK),
      sizeBytes: new Float64Array(deltas.length).fill(sizeBytes),
      hash: Uint32Array.from(deltas, ({ digest }) => hashText(asDeltaDigest(digest))),
      publishedAtMs: new Float64Array(deltas.length),
      replaces: new Int32Array(deltas.length).fill(-1),
    },
  };
  const bytes = { slot: SLOTS * sizeBytes, ram: RAM_MIB * MIB, disk: deltas.length * sizeBytes };
  const options = { model, nodeCount: NODES, oversubscription: DELTAS / (NODES * SLOTS), bytes };
  const { tier } = simulate(workload, POLICIES.get("ours")!, options, seededRandom(seed));
  const warmUntilMs = WARM_UP_SHARE * arrivals.at(-1)!.atMs;
  const measured = [...tier].filter((_, request) => arrivals[request]!.atMs >= warmUntilMs);
  const share = (name: (typeof TIER_NAMES)[number]) => measured.filter((each) => TIER_NAMES[each] === name).length / measured.length;
  return { slot: share("slot"), ram: share("ram"), "disk or farther": share("disk") + share("remote") };
}

function compared(live: HitShares, simulated: HitShares, summary: Record<string, number>): SimulatorComparison {
  const tiers = Object.keys(live) as (keyof HitShares)[];
  const rows = tiers.map((tier) => ({ tier, live: live[tier], simulated: simulated[tier], difference: live[tier] - simulated[tier] }));
  const differenceMax = Math.max(...rows.map(({ difference }) => Math.abs(difference)));
  const violations = rows
    .filter(({ difference }) => Math.abs(difference) > DIFFERENCE_MAX)
    .map(({ tier, live: seen, simulated: told }) => ({
      rule: "simulator",
      what: `${tier}: ${seen} of the requests live, ${told} simulated`,
    }));
  if (summary["failed"]! > 0) violations.push({ rule: "failed", what: `${summary["failed"]} requests failed` });
  const shares = { live_hit_share: live.slot, simulated_hit_share: simulated.slot, difference_max: differenceMax };
  return { rows, summary: { ...summary, ...shares }, violations };
}

function summaryOf({ stepMs, rowMs, promptTokenMs, slotLoadMs, ramLoadMs, diskLoadMs }: BaseTiming): Record<string, number> {
  return {
    step_ms: stepMs,
    row_ms: rowMs,
    prompt_token_ms: promptTokenMs,
    slot_load_ms: slotLoadMs,
    ram_load_ms: ramLoadMs,
    disk_load_ms: diskLoadMs,
  };
}
