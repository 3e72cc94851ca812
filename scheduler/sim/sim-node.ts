import { type Bytes, type Millis, RoomLine, type RoomWish } from "#kernel";
import { Batch, type BatchRow, type RowEvent } from "./batch.ts";
import type { Workload } from "./delta-catalog.ts";
import { DeltaLoads, type LoadsDeps } from "./delta-loads.ts";
import { type NodeModel, type SimTier, SLOT } from "./node-model.ts";
import type { SimEntry } from "./tier-cache.ts";

/** By request, when it came to what it waits for; of its last node. */
export interface Stages {
  /** It came to the node. */
  readonly offeredAtMs: Float64Array;
  /** A slot was taken for its delta, or had been. */
  readonly slotAtMs: Float64Array;
  /** The delta is in it. */
  readonly readyAtMs: Float64Array;
  /** A row of the batch. */
  readonly rowAtMs: Float64Array;
}

/** What a policy asks of nodes. */
export interface NodeBehaviour {
  /** False: a delta that no row uses leaves its slot at once. */
  readonly keepsIdle: boolean;
  /** A load that has waited longer for room is overtaken no more; infinite: it always may be. */
  readonly overtakenMsMax: Millis;
  /** Every delta is in a slot already, without taking room. */
  readonly everythingCached: boolean;
}

export interface NodeDeps extends Omit<LoadsDeps, "schedule" | "inSlot"> {
  readonly workload: Workload;
  readonly behaviour: NodeBehaviour;
  readonly stages: Stages;
  readonly scheduleWake: (atMs: Millis, version: number) => void;
  readonly scheduleLoad: (atMs: Millis, delta: number) => void;
  readonly firstToken: RowEvent;
  readonly finished: RowEvent;
  /** After rows have ended, before the next step lets others in. */
  readonly betweenSteps?: (atMs: Millis) => void;
}

/** A load that waits for room in the slots, with its requests. */
interface Starved extends RoomWish {
  readonly delta: number;
  readonly requests: number[];
}

/** One node agent: requests wait for their delta, then for a row. Who had to wait for its slot does not go behind who came later and found one. */
export class SimNode {
  readonly index: number;
  readonly model: NodeModel;
  readonly loads: DeltaLoads;
  readonly batch: Batch;
  readonly #deps: NodeDeps;
  /** Their delta is in its slot; from `#readyHead` on, in the order in which they came to the node. */
  #ready: number[] = [];
  #readyHead = 0;
  /** By delta: requests for whose load a slot is taken. */
  readonly #waiting = new Map<number, number[]>();
  /** Loads that wait for room in the slots, and the same by delta. */
  #line: RoomLine<Starved>;
  readonly #starved = new Map<number, Starved>();
  #wakeVersion = 0;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #requests = 0;
  #promptTokens = 0;
  alive = true;

  constructor(index: number, deps: NodeDeps) {
    this.index = index;
    this.model = deps.model;
    this.#deps = deps;
    this.#line = new RoomLine(deps.behaviour.overtakenMsMax);
    this.loads = new DeltaLoads({
      ...deps,
      schedule: deps.scheduleLoad,
      inSlot: (delta, atMs) => this.#loaded(delta, atMs),
    });
    const firstToken: RowEvent = (request, atMs) => {
      this.#promptTokens -= deps.workload.promptTokens[request]!;
      deps.firstToken(request, atMs);
    };
    this.batch = new Batch(deps.model, firstToken, (row, atMs) => this.#finished(row, atMs));
  }

  /** Rows that run or wait, for whatever. */
  get rowsAhead(): number {
    return this.#requests;
  }

  /** Prompts whose first token has not come yet. */
  get promptTokensAhead(): number {
    return this.#promptTokens;
  }

  get starvedLoads(): number {
    return this.#line.size;
  }

  tier(delta: number): SimTier {
    return this.#deps.behaviour.everythingCached ? SLOT : this.loads.tier(delta);
  }

  offer(request: number, nowMs: Millis): void {
    this.#requests++;
    this.#deps.stages.offeredAtMs[request] = nowMs;
    this.#promptTokens += this.#deps.workload.promptTokens[request]!;
    const entry = this.loads.slots.get(this.#deps.workload.delta[request]!);
    if (entry) this.loads.slots.used(entry, nowMs);
    if (this.#starved.has(this.#deps.workload.delta[request]!) || !this.#place(request, nowMs)) this.#starve(request, nowMs);
  }

  wake(version: number, nowMs: Millis): void {
    if (version !== this.#wakeVersion) return;
    this.batch.advance(nowMs);
    this.#deps.betweenSteps?.(nowMs);
    this.batch.join(nowMs, () => this.#next(nowMs));
    this.#wakeAt(this.batch.wakeAtMs());
  }

  /** The node is gone; gives the requests it had. */
  fail(): readonly number[] {
    const running = this.batch.clear().map(({ request }) => request);
    const lost = [
      ...running,
      ...this.#ready.slice(this.#readyHead),
      ...[...this.#waiting.values()].flat(),
      ...[...this.#line].flatMap(({ requests }) => requests),
    ];
    this.loads.clear();
    this.#waiting.clear();
    this.#line = new RoomLine(this.#deps.behaviour.overtakenMsMax);
    this.#starved.clear();
    [this.#ready, this.#readyHead] = [[], 0];
    [this.#requests, this.#promptTokens] = [0, 0];
    this.#wakeVersion++;
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    this.alive = false;
    return lost;
  }

  /** False: there is no room for its delta. */
  #place(request: number, nowMs: Millis): boolean {
    const delta = this.#deps.workload.delta[request]!;
    const { slotAtMs } = this.#deps.stages;
    if (this.#deps.behaviour.everythingCached) {
      slotAtMs[request] = nowMs;
      this.#queue(request, nowMs);
      return true;
    }
    const entry = this.#slot(delta, nowMs);
    if (!entry) return false;
    slotAtMs[request] = nowMs;
    this.loads.slots.refer(entry);
    if (entry.readyAtMs <= nowMs) this.#queue(request, nowMs);
    else {
      const waiting = this.#waiting.get(delta);
      if (waiting) waiting.push(request);
      else this.#waiting.set(delta, [request]);
    }
    return true;
  }

  /** Its place in the slots, which it takes now if it must; undefined when there is no room, or what there is is kept for another. */
  #slot(delta: number, nowMs: Millis): SimEntry | undefined {
    const { slots } = this.loads;
    const entry = slots.get(delta);
    if (entry && entry.references > 0) return entry;
    const first = this.#starved.get(delta);
    const keptBytes = first && this.#isFirst(first) ? 0 : this.#line.keptSize(nowMs);
    if (!entry) return keptBytes > 0 ? undefined : this.loads.wantSlot(delta, nowMs);
    return slots.referencedBytes + entry.sizeBytes + keptBytes <= slots.capacityBytes ? entry : undefined;
  }

  #isFirst(starved: Starved): boolean {
    const [first] = this.#line;
    return first === starved;
  }

  #starve(request: number, nowMs: Millis): void {
    const delta = this.#deps.workload.delta[request]!;
    const known = this.#starved.get(delta);
    if (known) {
      known.requests.push(request);
      return;
    }
    const starved = { delta, size: this.#sizeBytes(delta), sinceMs: nowMs, requests: [request] };
    this.#starved.set(delta, starved);
    this.#line.add(starved);
  }

  #sizeBytes(delta: number): Bytes {
    return this.#deps.deltas.sizeBytes[delta]!;
  }

  #loaded(delta: number, nowMs: Millis): void {
    const waiting = this.#waiting.get(delta) ?? [];
    this.#waiting.delete(delta);
    for (const request of waiting) this.#queue(request, nowMs);
    if (waiting.length === 0) this.#roomMade(nowMs); // Loaded ahead: may leave again.
  }

  #queue(request: number, nowMs: Millis): void {
    const { readyAtMs, offeredAtMs } = this.#deps.stages;
    readyAtMs[request] = nowMs;
    const ready = this.#ready;
    let place = ready.push(request) - 1;
    for (; place > this.#readyHead && offeredAtMs[ready[place - 1]!]! > offeredAtMs[request]!; place--) ready[place] = ready[place - 1]!;
    ready[place] = request;
    if (this.batch.rows === this.model.rowsMax) return; // The first row to end lets it in.
    const boundaryMs = this.batch.nextBoundaryMs(nowMs);
    if (boundaryMs < this.#wakeAtMs) this.#wakeAt(boundaryMs);
  }

  #next(nowMs: Millis): BatchRow | undefined {
    if (this.#readyHead === this.#ready.length) {
      [this.#ready, this.#readyHead] = [[], 0];
      return undefined;
    }
    const request = this.#ready[this.#readyHead++]!;
    this.#deps.stages.rowAtMs[request] = nowMs;
    const { workload } = this.#deps;
    const delta = workload.delta[request]!;
    const promptTokens = workload.promptTokens[request]!;
    return { request, delta, rank: workload.deltas.rank[delta]!, promptTokens, outputTokens: workload.outputTokens[request]! };
  }

  #finished(row: BatchRow, nowMs: Millis): void {
    this.#requests--;
    this.#deps.finished(row.request, nowMs);
    if (this.#deps.behaviour.everythingCached) return;
    const { slots } = this.loads;
    const entry = slots.get(row.delta)!;
    slots.release(entry);
    if (entry.references === 0) {
      if (!this.#deps.behaviour.keepsIdle) slots.remove(entry);
      this.#roomMade(nowMs);
    }
  }

  /** Who waits for room gets it, in order; those it is enough for overtake those it is not, until these have waited too long. */
  #roomMade(nowMs: Millis): void {
    for (const starved of [...this.#line]) {
      if (!this.#place(starved.requests[0]!, nowMs)) {
        if (this.#line.isOverdue(starved, nowMs)) return;
        continue;
      }
      this.#line.delete(starved);
      this.#starved.delete(starved.delta);
      for (const request of starved.requests.slice(1)) this.#place(request, nowMs);
    }
  }

  #wakeAt(atMs: Millis): void {
    this.#wakeAtMs = atMs;
    this.#wakeVersion++;
    if (atMs < Number.POSITIVE_INFINITY) this.#deps.scheduleWake(atMs, this.#wakeVersion);
  }
}
