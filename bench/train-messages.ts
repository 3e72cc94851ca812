/** What is trained in both: a delta on all linears, in batches of equally long texts of which every token is learned. */
export const TRAIN_JOB = { rank: 8, alpha: 16, batchSize: 8, textTokens: 128, threads: 2, learningRate: 1e-4 } as const;

/** Asks a side for some steps. */
export interface StepsWanted {
  readonly steps: number;
}

/** What a side says after them. */
export interface StepsDone {
  /** Of each step, optimizer included. */
  readonly stepMs: readonly number[];
  /** The most memory that its process has held at once since its start. */
  readonly peakBytes: number;
  readonly loss: number;
}
