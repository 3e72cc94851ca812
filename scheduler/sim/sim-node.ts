import type { Millis } from "#kernel";
import { Batch, type BatchRow, type RowEvent } from "./batch.ts";
import type { Workload } from "./delta-catalog.ts";
import { DeltaLoads, type LoadsDeps } from "./delta-loads.ts";
import { type NodeModel, type SimTier, SLOT } from "./node-model.ts";

/** What a policy asks of nodes. */
export interface NodeBehaviour {
  /** False: a delta that no row uses leaves its slot at once. */
  readonly keepsIdle: boolean;
  /** A load that waits longer for room holds back new rows of the deltas that are in its way; infinite for never. */
  readonly drainAfterMs: Millis;
  /** Every delta is in a slot already, without taking room. */
  readonly everythingCached: boolean;
}

export interface NodeDeps extends Omit<LoadsDeps, "schedule" | "inSlot"> {
  readonly workload: Workload;
  readonly behaviour: NodeBehaviour;
  readonly scheduleWake: (atMs: Millis, version: number) => void;
  readonly scheduleLoad: (atMs: Millis, delta: number) => void;
  readonly firstToken: RowEvent;
  readonly finished: RowEvent;
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
  #held: number[] = [];
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
    this.#place(request, nowMs);
  }

  wake(version: number, nowMs: Millis): void {
    if (version !== this.#wakeVersion) return;
    this.batch.advance(nowMs);
    this.batch.join(nowMs, () => this.#next());
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
      ...this.#held,
    ];
    this.loads.clear();
    this.#waiting.clear();
    [this.#ready, this.#readyHead, this.#starved, this.#held] = [[], 0, [], []];
    [this.#requests, this.#promptTokens] = [0, 0];
    this.#wakeVersion++;
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    this.alive = false;
    return lost;
  }

  #place(request: number, nowMs: Millis): void {
    const delta = this.#deps.workload.delta[request]!;
    if (this.#deps.behaviour.everythingCached) {
      this.#queue(request, nowMs);
      return;
    }
    const { slots } = this.loads;
    const known = slots.get(delta);
    const draining = this.#draining(nowMs);
    if (known && draining) {
      this.#held.push(request);
      return;
    }
    const entry = known ?? (draining ? undefined : this.loads.wantSlot(delta, nowMs));
    if (!entry) {
      this.#starved.push({ request, sinceMs: nowMs });
      return;
    }
    slots.refer(entry);
    slots.used(entry, nowMs);
    if (entry.readyAtMs <= nowMs) this.#queue(request, nowMs);
    else {
      const waiting = this.#waiting.get(delta);
      if (waiting) waiting.push(request);
      else this.#waiting.set(delta, [request]);
    }
  }

  #draining(nowMs: Millis): boolean {
    const first = this.#starved[0];
    return first !== undefined && nowMs - first.sinceMs >= this.#deps.behaviour.drainAfterMs;
  }

  #loaded(delta: number, nowMs: Millis): void {
    const waiting = this.#waiting.get(delta) ?? [];
    this.#waiting.delete(delta);
    for (const request of waiting) this.#queue(request, nowMs);
    if (waiting.length === 0) this.#roomMade(nowMs); // Loaded ahead: may leave again.
  }

  #queue(request: number, nowMs: Millis): void {
    this.#ready.push(request);
    if (this.batch.rows === this.model.rowsMax) return; // The first row to end lets it in.
    const boundaryMs = this.batch.nextBoundaryMs(nowMs);
    if (boundaryMs < this.#wakeAtMs) this.#wakeAt(boundaryMs);
  }

  #next(): BatchRow | undefined {
    if (this.#readyHead === this.#ready.length) {
      [this.#ready, this.#readyHead] = [[], 0];
      return undefined;
    }
    const request = this.#ready[this.#readyHead++]!;
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
    if (entry.references > 0) return;
    if (!this.#deps.behaviour.keepsIdle) slots.remove(entry);
    this.#roomMade(nowMs);
  }

  /** Who waits for room gets it, in order; a small delta overtakes a large one only until that has waited too long. */
  #roomMade(nowMs: Millis): void {
    if (this.#starved.length === 0) return;
    const draining = this.#draining(nowMs);
    const starved = this.#starved;
    this.#starved = [];
    let blocked = false;
    for (const waiter of starved) {
      const delta = this.#deps.workload.delta[waiter.request]!;
      if (!blocked && this.loads.wantSlot(delta, nowMs)) this.#place(waiter.request, nowMs);
      else {
        this.#starved.push(waiter);
        blocked ||= draining;
      }
    }
    if (this.#draining(nowMs)) return;
    const held = this.#held;
    this.#held = [];
    for (const request of held) this.#place(request, nowMs);
  }

  #wakeAt(atMs: Millis): void {
    this.#wakeAtMs = atMs;
    this.#wakeVersion++;
    if (atMs < Number.POSITIVE_INFINITY) this.#deps.scheduleWake(atMs, this.#wakeVersion);
  }
}
