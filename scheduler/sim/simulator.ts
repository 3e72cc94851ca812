import { assert, type Bytes, leastRecentlyUsed, type Random } from "#kernel";
import { totalBytes, type Workload } from "./delta-catalog.ts";
import type { TierBytes } from "./delta-loads.ts";
import { EventQueue } from "./event-queue.ts";
import { createFastRandom } from "./fast-random.ts";
import type { SimFault } from "./fault-plan.ts";
import { DISK_PER_SLOT_BYTES, LARGEST_DELTAS_MIN, type NodeModel, RAM_PER_SLOT_BYTES } from "./node-model.ts";
import type { Policy, RunningPolicy, SimCluster } from "./policy.ts";
import { type PlaceLimits, RouterQueue } from "./router-queue.ts";
import { type NodeBehaviour, SimNode, type Stages } from "./sim-node.ts";

export interface SimOptions {
  readonly model: NodeModel;
  readonly nodeCount: number;
  /** Bytes of all deltas over bytes of all slots of the cluster. */
  readonly oversubscription: number;
  /** Per node; by default what the over-subscription makes of it. */
  readonly bytes?: TierBytes;
  readonly faults?: readonly SimFault[];
}

/** What happened to each request; the figures are made of it. */
export interface SimRun {
  readonly workload: Workload;
  readonly nodes: readonly SimNode[];
  /** From arrival to first token, failed attempts included. */
  readonly firstTokenMs: Float64Array;
  readonly doneMs: Float64Array;
  readonly stages: Stages;
  /** Where the (last) node found the delta. */
  readonly tier: Uint8Array;
  readonly node: Int32Array;
  /** Since the warm-up: loads into slots, their bytes, and bytes from the object store to whatever tier. */
  readonly traffic: Traffic;
  readonly eventCount: number;
  /** Over kind, place, subject and microsecond of every event: equal seeds give equal hashes. */
  readonly eventHash: string;
}

export interface Traffic {
  readonly loadCount: number;
  readonly loadedBytes: Bytes;
  readonly fetchedBytes: Bytes;
}

/** What is left out at the beginning of a run: caches fill, estimates form. */
export const WARM_UP_SHARE = 0.2;

const WAKE = 0;
const LOAD = 1;
const ROUND = 2;
const PUBLISHED = 3;
const FAULT_BEGINS = 4;
const FAULT_ENDS = 5;
const ARRIVAL = 6;
const WARM = 7;

const BEHAVIOUR: NodeBehaviour = {
  keepsIdle: true,
  overtakenMsMax: Number.POSITIVE_INFINITY,
  everythingCached: false,
};

/** Slots as the over-subscription says, but never too few to work at all; RAM and disk in proportion. */
export function tierBytes(workload: Workload, { nodeCount, oversubscription }: SimOptions): TierBytes {
  const largest = workload.deltas.sizeBytes.reduce((max, size) => Math.max(max, size), 0);
  const slot = Math.max(totalBytes(workload.deltas) / nodeCount / oversubscription, LARGEST_DELTAS_MIN * largest);
  return { slot, ram: slot * RAM_PER_SLOT_BYTES, disk: slot * DISK_PER_SLOT_BYTES };
}

/** Runs a workload to its end under a policy, on a clock that jumps from event to event. */
export function simulate(workload: Workload, policy: Policy, options: SimOptions, random: Random): SimRun {
  const { model, nodeCount, faults = [] } = options;
  const count = workload.requestCount;
  const firstTokenMs = new Float64Array(count).fill(Number.NaN);
  const doneMs = new Float64Array(count).fill(Number.NaN);
  const times = () => new Float64Array(count);
  const stages: Stages = { offeredAtMs: times(), slotAtMs: times(), readyAtMs: times(), rowAtMs: times() };
  const tier = new Uint8Array(count);
  const nodeOf = new Int32Array(count).fill(-1);
  const queue = new EventQueue();
  const holders = new Map<number, number[]>();
  const NOWHERE: readonly number[] = [];
  const behaviour: NodeBehaviour = { ...BEHAVIOUR, ...policy.behaviour };
  const bytes = options.bytes ?? tierBytes(workload, options);
  const nodes = Array.from({ length: nodeCount }, (_, index) => createNode(index));
  const cluster = { model, deltas: workload.deltas, nodes, alive: nodes.map(({ index }) => index), nowMs: 0, holders: holdersOf };
  const running: RunningPolicy = policy.start(cluster satisfies SimCluster, createFastRandom(random));
  const router = policy.queue && new RouterQueue({ workload, nodes, rules: policy.queue, tryPlace });
  const digest = new EventDigest();
  let next = 0;
  let open = count;
  let eventCount = 0;
  let rowEnded = false;
  let before: Traffic = { loadCount: 0, loadedBytes: 0, fetchedBytes: 0 };

  function holdersOf(delta: number): readonly number[] {
    return holders.get(delta) ?? NOWHERE;
  }

  function createNode(index: number): SimNode {
    return new SimNode(index, {
      ...{ model, workload, behaviour, bytes, stages, deltas: workload.deltas },
      createOrder: policy.createOrder ?? leastRecentlyUsed,
      unloadBufferShare: policy.unloadBufferShare ?? 0,
      scheduleWake: (atMs, version) => queue.push(atMs, WAKE, index, version),
      scheduleLoad: (atMs, delta) => queue.push(atMs, LOAD, index, delta),
      firstToken(request, atMs) {
        if (Number.isNaN(firstTokenMs[request])) firstTokenMs[request] = atMs - workload.arrivedAtMs[request]!;
      },
      finished(request, atMs) {
        doneMs[request] = atMs - workload.arrivedAtMs[request]!;
        open--;
        rowEnded = true;
        router?.finished(request);
      },
      ...(policy.queue?.instant && { betweenSteps: serve }),
      slotTaken(delta) {
        const known = holders.get(delta);
        if (known) known.push(index);
        else holders.set(delta, [index]);
      },
      slotLeft(delta) {
        const known = holders.get(delta)!;
        if (known.length === 1) holders.delete(delta);
        else known.splice(known.indexOf(index), 1);
      },
    });
  }

  function serve(atMs: number): void {
    if (!rowEnded) return;
    rowEnded = false;
    router?.serve(atMs);
  }

  function tryPlace(request: number, atMs: number, limits?: PlaceLimits): boolean {
    const delta = workload.delta[request]!;
    const chosen = running.route({ delta, promptTokens: workload.promptTokens[request]!, ...limits });
    if (chosen === undefined && limits) return false;
    assert(chosen !== undefined, `${policy.name} sent a request nowhere`);
    const node = nodes[chosen];
    assert(node?.alive, `${policy.name} sent a request to node ${chosen}, which is not there`);
    nodeOf[request] = chosen;
    tier[request] = node.tier(delta);
    node.offer(request, atMs);
    return true;
  }

  function setAlive(): void {
    cluster.alive = nodes.filter(({ alive }) => alive).map(({ index }) => index);
  }

  function begin(fault: SimFault, atMs: number): void {
    if (fault.kind === "node-slow") nodes[fault.node]!.batch.slowness = fault.factor;
    else if (fault.kind === "store-slow") for (const node of nodes) node.loads.storeSlowness = fault.factor;
    else {
      const lost = nodes[fault.node]!.fail();
      setAlive();
      for (const request of lost) tryPlace(request, atMs);
    }
  }

  function end(fault: SimFault): void {
    if (fault.kind === "node-slow") nodes[fault.node]!.batch.slowness = 1;
    else if (fault.kind === "store-slow") for (const node of nodes) node.loads.storeSlowness = 1;
    else nodes[fault.node]!.alive = rowEnded = true;
    setAlive();
  }

  function handle({ kind, node, subject, atMs }: EventQueue): void {
    if (kind === WAKE) nodes[node]!.wake(subject, atMs);
    else if (kind === LOAD) nodes[node]!.loads.arrived(subject, atMs);
    else if (kind === PUBLISHED) running.published?.(subject);
    else if (kind === FAULT_BEGINS) begin(faults[subject]!, atMs);
    else if (kind === FAULT_ENDS) end(faults[subject]!);
    else if (kind === WARM) before = trafficOf(nodes);
    else {
      running.round?.();
      if (open > 0) queue.push(atMs + policy.roundMs!, ROUND, 0, 0);
    }
  }

  queue.push(WARM_UP_SHARE * workload.durationMs, WARM, 0, 0);
  for (const [index, fault] of faults.entries()) {
    queue.push(fault.atMs, FAULT_BEGINS, 0, index);
    queue.push(fault.atMs + fault.lastsMs, FAULT_ENDS, 0, index);
  }
  if (running.published) {
    for (const delta of byHash(workload)) queue.push(workload.deltas.publishedAtMs[delta]!, PUBLISHED, 0, delta);
  }
  if (policy.roundMs !== undefined) queue.push(policy.roundMs, ROUND, 0, 0);

  while (open > 0) {
    const arrivesAtMs = next < count ? workload.arrivedAtMs[next]! : Number.POSITIVE_INFINITY;
    eventCount++;
    if (arrivesAtMs < queue.nextAtMs) {
      cluster.nowMs = arrivesAtMs;
      if (router) router.arrived(next, arrivesAtMs);
      else tryPlace(next, arrivesAtMs);
      digest.add(ARRIVAL, nodeOf[next]!, next, arrivesAtMs);
      next++;
    } else {
      assert(queue.pop(), `${open} requests are left and nothing happens any more`);
      assert(queue.atMs >= cluster.nowMs, "virtual time went back");
      cluster.nowMs = queue.atMs;
      digest.add(queue.kind, queue.node, queue.subject, queue.atMs);
      handle(queue);
      serve(queue.atMs);
    }
  }
  const after = trafficOf(nodes);
  return {
    ...{ workload, nodes, firstTokenMs, doneMs, stages, tier, node: nodeOf, eventCount, eventHash: digest.text },
    traffic: {
      loadCount: after.loadCount - before.loadCount,
      loadedBytes: after.loadedBytes - before.loadedBytes,
      fetchedBytes: after.fetchedBytes - before.fetchedBytes,
    },
  };
}

/** Numbers are given in order of popularity: whoever loads ahead must not learn it from the order in which deltas come. */
function byHash({ deltas }: Workload): readonly number[] {
  const numbers = Array.from({ length: deltas.count }, (_, delta) => delta);
  return numbers.sort((one, other) => deltas.hash[one]! - deltas.hash[other]! || one - other);
}

function trafficOf(nodes: readonly SimNode[]): Traffic {
  const sum = (value: (node: SimNode) => number) => nodes.reduce((total, node) => total + value(node), 0);
  return {
    loadCount: sum(({ loads }) => loads.loadCount),
    loadedBytes: sum(({ loads }) => loads.loadedBytes),
    fetchedBytes: sum(({ loads }) => loads.fetchedBytes),
  };
}

/** Two FNV-1a-like sums over 32-bit words: not for secrets, enough to tell two runs apart. */
class EventDigest {
  #one = 0x811c9dc5;
  #other = 0x9e3779b9;

  add(kind: number, node: number, subject: number, atMs: number): void {
    const atUs = Math.round(atMs * 1000);
    this.#mix(kind ^ (node << 4));
    this.#mix(subject);
    this.#mix(atUs | 0);
    this.#mix(Math.floor(atUs / 2 ** 32));
  }

  get text(): string {
    return [this.#one, this.#other].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #mix(word: number): void {
    this.#one = Math.imul(this.#one ^ word, 0x01000193);
    this.#other = Math.imul(this.#other ^ (word + 0x7f4a7c15), 0x85ebca6b) ^ (this.#one >>> 15);
  }
}
