import type { Bytes, Millis } from "#kernel";

/** The deltas of a run, by number. A version is a delta of its own. */
export interface DeltaCatalog {
  readonly count: number;
  readonly rank: Int32Array;
  readonly sizeBytes: Float64Array;
  /** Spreads deltas over nodes; stands for the digest. */
  readonly hash: Uint32Array;
  /** From when it exists; 0 for those that were there before. */
  readonly publishedAtMs: Float64Array;
  /** Of which delta it is a new version; -1 for none. Nobody asks for that one any more. */
  readonly replaces: Int32Array;
}

/** When who asks for what: one entry per request, in order of time. */
export interface Workload {
  readonly name: string;
  readonly durationMs: Millis;
  readonly requestCount: number;
  readonly arrivedAtMs: Float64Array;
  readonly delta: Int32Array;
  readonly promptTokens: Int32Array;
  readonly outputTokens: Int32Array;
  readonly deltas: DeltaCatalog;
}

export function totalBytes(deltas: DeltaCatalog): Bytes {
  return deltas.sizeBytes.reduce((sum, size) => sum + size, 0);
}
