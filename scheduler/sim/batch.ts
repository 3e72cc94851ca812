import type { Millis } from "#kernel";
import { type NodeModel, stepMs } from "./node-model.ts";

/** A row that the batch let in or out: request and when. */
export type RowEvent = (request: number, atMs: Millis) => void;

export interface BatchRow {
  readonly request: number;
  readonly delta: number;
  readonly rank: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

const RANKS = 1024;

/**
 * Continuous batching of one engine. Between two changes of its rows every step takes the same time, so a row's progress is
 * a multiplication: the batch wakes when a row ends, when new rows may join, and at no token between.
 * A step that lets rows in computes their prompts beside the others' next token; its end is their first token.
 */
export class Batch {
  readonly #model: NodeModel;
  readonly #firstToken: RowEvent;
  readonly #finished: (row: BatchRow, atMs: Millis) => void;
  #rows: { row: BatchRow; endStep: number; joinedAtMs: Millis }[] = [];
  /** Steps done at `#boundaryMs`. */
  #steps = 0;
  #boundaryMs: Millis = 0;
  #stepMs: Millis = 0;
  /** Rows from this index on joined with the step in progress. */
  #joinedFrom = 0;
  /** Rows by delta, and distinct deltas by rank: what a step pays for. */
  readonly #rowsByDelta = new Map<number, number>();
  readonly #deltasByRank = new Int32Array(RANKS);
  #rankSum = 0;
  #rankMax = 0;
  /** 1 is as fast as the model says. */
  slowness = 1;
  /** Mean time of a row from joining to its end, over the last rows. */
  meanRowMs: Millis;
  busyMs: Millis = 0;

  constructor(model: NodeModel, firstToken: RowEvent, finished: (row: BatchRow, atMs: Millis) => void) {
    this.#model = model;
    this.#firstToken = firstToken;
    this.#finished = finished;
    this.meanRowMs = Math.exp(model.outputTokens.logMean) * stepMs(model, model.rowsMax / 2, 0, 0, 0);
  }

  get rows(): number {
    return this.#rows.length;
  }

  get rankMax(): number {
    return this.#rankMax;
  }

  get rankSum(): number {
    return this.#rankSum;
  }

  /** Distinct deltas that run. */
  get deltaCount(): number {
    return this.#rowsByDelta.size;
  }

  hasDelta(delta: number): boolean {
    return this.#rowsByDelta.has(delta);
  }

  /** The next moment at which waiting rows could join. */
  nextBoundaryMs(nowMs: Millis): Millis {
    if (this.#rows.length === 0) return nowMs;
    const steps = Math.max(1, Math.ceil((nowMs - this.#boundaryMs) / this.#stepMs - 1e-9));
    return Math.max(nowMs, this.#boundaryMs + steps * this.#stepMs);
  }

  /** Steps to `nowMs`, which is a boundary: first tokens, then rows that end. */
  advance(nowMs: Millis): void {
    if (this.#rows.length === 0) {
      this.#boundaryMs = nowMs;
      return;
    }
    this.busyMs += nowMs - this.#boundaryMs;
    this.#steps += Math.round((nowMs - this.#boundaryMs) / this.#stepMs);
    this.#boundaryMs = nowMs;
    for (let index = this.#joinedFrom; index < this.#rows.length; index++) this.#firstToken(this.#rows[index]!.row.request, nowMs);
    for (let index = this.#rows.length - 1; index >= 0; index--) {
      const { row, endStep, joinedAtMs } = this.#rows[index]!;
      if (endStep > this.#steps) continue;
      const last = this.#rows.pop()!;
      if (index < this.#rows.length) this.#rows[index] = last;
      this.#leave(row);
      this.meanRowMs += (nowMs - joinedAtMs - this.meanRowMs) / 32;
      this.#finished(row, nowMs);
    }
    this.#joinedFrom = this.#rows.length;
  }

  /** Lets rows in, as long as `next` has one and the step takes it. Call at a boundary only. */
  join(nowMs: Millis, next: () => BatchRow | undefined): void {
    let promptTokens = 0;
    while (this.#rows.length < this.#model.rowsMax && promptTokens < this.#model.prefillTokensMax) {
      const row = next();
      if (!row) break;
      promptTokens += row.promptTokens;
      this.#enter(row);
      this.#rows.push({ row, endStep: this.#steps + row.outputTokens, joinedAtMs: nowMs });
    }
    this.#stepMs = this.slowness * stepMs(this.#model, this.#rows.length, promptTokens, this.#rankSum, this.#rankMax);
  }

  /** When something happens by itself: the end of the step that rows joined with, or of the first row; infinite when idle. */
  wakeAtMs(): Millis {
    if (this.#rows.length === 0) return Number.POSITIVE_INFINITY;
    if (this.#joinedFrom < this.#rows.length) return this.#boundaryMs + this.#stepMs;
    let first = Number.POSITIVE_INFINITY;
    for (const { endStep } of this.#rows) if (endStep < first) first = endStep;
    return this.#boundaryMs + (first - this.#steps) * this.#stepMs;
  }

  /** The node is gone: its rows, for someone else to serve. */
  clear(): readonly BatchRow[] {
    const rows = this.#rows.map(({ row }) => row);
    for (const row of rows) this.#leave(row);
    this.#rows = [];
    this.#joinedFrom = 0;
    return rows;
  }

  #enter({ delta, rank }: BatchRow): void {
    const rows = this.#rowsByDelta.get(delta) ?? 0;
    this.#rowsByDelta.set(delta, rows + 1);
    if (rows > 0) return;
    this.#deltasByRank[rank]!++;
    this.#rankSum += rank;
    if (rank > this.#rankMax) this.#rankMax = rank;
  }

  #leave({ delta, rank }: BatchRow): void {
    const rows = this.#rowsByDelta.get(delta)! - 1;
    if (rows > 0) {
      this.#rowsByDelta.set(delta, rows);
      return;
    }
    this.#rowsByDelta.delete(delta);
    this.#deltasByRank[rank]!--;
    this.#rankSum -= rank;
    while (this.#rankMax > 0 && this.#deltasByRank[this.#rankMax] === 0) this.#rankMax--;
  }
}
