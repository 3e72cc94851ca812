import type { Millis } from "#kernel";
import { Batch, type BatchRow, type RowEvent } from "./batch.ts";
import type { Workload } from "./delta-catalog.ts";
import { DeltaLoads, type LoadsDeps } from "./delta-loads.ts";
import { type NodeModel, RAM, type SimTier, SLOT } from "./node-model.ts";

/** By request, when it came to what it waits for; of its last node. */
export interface Stages {
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
  /** Room that comes free is kept for a load that waits longer for it; infinite for never. */
  readonly drainAfterMs: Millis;
  /** Requests without a row hold slots as long as their prompts fill so many steps; the others wait in line, their deltas in RAM. Infinite: all hold one from arrival on. */
  readonly claimSteps: number;
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
}

/** Room that is kept for one load. */
interface Reservation {
  readonly request: number;
  readonly sizeBytes: number;
}

/** One node agent: requests wait for their delta, then for a row, first come first served. */
export class SimNode {
  readonly index: number;
  readonly model: NodeModel;
  readonly loads: DeltaLoads;
  readonly batch: Batch;
  readonly #deps: NodeDeps;
  /** Their delta is in its slot; from `#readyHead` on. */
  #ready: number[] = [];
  #readyHead = 0;
  /** By delta: requests for whose load a slot is taken. */
  readonly #waiting = new Map<number, number[]>();
  /** Requests that wait for room in the slots, and since when. */
  #starved: { readonly request: number; readonly sinceMs: Millis }[] = [];
  /** Requests whose turn is too far off for a slot. */
  #pending: number[] = [];
  #reservation: Reservation | undefined;
  /** Prompts of requests that hold a slot and have no row yet. */
  #claimedTokens = 0;
  #wakeVersion = 0;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #requests = 0;
  #promptTokens = 0;
  alive = true;

  constructor(index: number, deps: NodeDeps) {
    this.index = index;
    this.model = deps.model;
    this.#deps = deps;
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
    return this.#starved.length;
  }

  tier(delta: number): SimTier {
    return this.#deps.behaviour.everythingCached ? SLOT : this.loads.tier(delta);
  }

  offer(request: number, nowMs: Millis): void {
    this.#requests++;
    this.#promptTokens += this.#deps.workload.promptTokens[request]!;
    const entry = this.loads.slots.get(this.#deps.workload.delta[request]!);
    if (entry) this.loads.slots.used(entry, nowMs);
    if (this.#deps.behaviour.everythingCached || (this.#pending.length === 0 && this.#mayClaim())) this.#place(request, nowMs);
    else this.#postpone(request, nowMs);
  }

  wake(version: number, nowMs: Millis): void {
    if (version !== this.#wakeVersion) return;
    this.batch.advance(nowMs);
    this.batch.join(nowMs, () => this.#next(nowMs));
    this.#claim(nowMs);
    this.#wakeAt(this.batch.wakeAtMs());
  }

  /** The node is gone; gives the requests it had. */
  fail(): readonly number[] {
    const running = this.batch.clear().map(({ request }) => request);
    const lost = [
      ...running,
      ...this.#ready.slice(this.#readyHead),
      ...[...this.#waiting.values()].flat(),
      ...this.#starved.map(({ request }) => request),
      ...this.#pending,
    ];
    this.loads.clear();
    this.#waiting.clear();
    [this.#ready, this.#readyHead, this.#starved, this.#pending] = [[], 0, [], []];
    [this.#reservation, this.#claimedTokens] = [undefined, 0];
    [this.#requests, this.#promptTokens] = [0, 0];
    this.#wakeVersion++;
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    this.alive = false;
    return lost;
  }

  #place(request: number, nowMs: Millis, sinceMs: Millis = nowMs): void {
    const delta = this.#deps.workload.delta[request]!;
    const { slotAtMs } = this.#deps.stages;
    if (this.#deps.behaviour.everythingCached) {
      slotAtMs[request] = nowMs;
      this.#queue(request, nowMs);
      return;
    }
    const { slots } = this.loads;
    const entry = this.#fitsBeside(delta) ? (slots.get(delta) ?? this.loads.wantSlot(delta, nowMs)) : undefined;
    if (!entry) {
      this.#starved.push({ request, sinceMs });
      return;
    }
    slotAtMs[request] = nowMs;
    this.#claimedTokens += this.#deps.workload.promptTokens[request]!;
    slots.refer(entry);
    if (entry.readyAtMs <= nowMs) this.#queue(request, nowMs);
    else {
      const waiting = this.#waiting.get(delta);
      if (waiting) waiting.push(request);
      else this.#waiting.set(delta, [request]);
    }
  }

  /** Whether what the reservation keeps is still there when the delta is used too. */
  #fitsBeside(delta: number): boolean {
    if (!this.#reservation) return true;
    const { slots } = this.loads;
    if ((slots.get(delta)?.references ?? 0) > 0) return true;
    const freeBytes = slots.capacityBytes - slots.referencedBytes - this.#reservation.sizeBytes;
    return freeBytes >= this.#deps.deltas.sizeBytes[delta]!;
  }

  /** Keeps room for the one that has waited longest, once that was long enough. */
  #reserve(nowMs: Millis): void {
    const first = this.#starved[0];
    if (this.#reservation || !first || nowMs - first.sinceMs < this.#deps.behaviour.drainAfterMs) return;
    const delta = this.#deps.workload.delta[first.request]!;
    this.#reservation = { request: first.request, sizeBytes: this.#deps.deltas.sizeBytes[delta]! };
  }

  #loaded(delta: number, nowMs: Millis): void {
    const waiting = this.#waiting.get(delta) ?? [];
    this.#waiting.delete(delta);
    for (const request of waiting) this.#queue(request, nowMs);
    if (waiting.length === 0) this.#roomMade(nowMs); // Loaded ahead: may leave again.
  }

  #queue(request: number, nowMs: Millis): void {
    this.#deps.stages.readyAtMs[request] = nowMs;
    this.#ready.push(request);
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
    this.#claimedTokens -= promptTokens;
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
    this.#claim(nowMs);
  }

  /** Its delta comes as near as it may without taking a slot. */
  #postpone(request: number, nowMs: Millis): void {
    this.#pending.push(request);
    const delta = this.#deps.workload.delta[request]!;
    if (!this.loads.slots.get(delta)) this.loads.raise(delta, RAM, nowMs);
  }

  #claim(nowMs: Millis): void {
    while (this.#pending.length > 0 && this.#mayClaim()) this.#place(this.#pending.shift()!, nowMs);
  }

  #mayClaim(): boolean {
    return this.#claimedTokens < this.#deps.behaviour.claimSteps * this.model.prefillTokensMax;
  }

  /** Who waits for room gets it, in order; a small delta overtakes a large one only until that has waited too long. */
  #roomMade(nowMs: Millis): void {
    if (this.#starved.length === 0) return;
    this.#reserve(nowMs);
    const starved = this.#starved;
    this.#starved = [];
    for (const waiter of starved) {
      if (waiter.request === this.#reservation?.request && this.loads.hasRoom(this.#deps.workload.delta[waiter.request]!)) {
        this.#reservation = undefined;
      }
      this.#place(waiter.request, nowMs, waiter.sinceMs);
    }
  }

  #wakeAt(atMs: Millis): void {
    this.#wakeAtMs = atMs;
    this.#wakeVersion++;
    if (atMs < Number.POSITIVE_INFINITY) this.#deps.scheduleWake(atMs, this.#wakeVersion);
  }
}
