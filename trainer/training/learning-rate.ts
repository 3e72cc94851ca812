/** How the learning rate runs over the steps of a job. */
export interface LearningRateSchedule {
  readonly peak: number;
  /** Steps from almost nothing up to the peak. */
  readonly warmupSteps: number;
  readonly totalSteps: number;
  /** From the peak down to zero at the end, or level. */
  readonly decay: "linear" | "cosine" | "none";
}

/** For a step counted from 1: the peak is reached with step `warmupSteps`, and the last step still moves a little. */
export function learningRateAt({ peak, warmupSteps, totalSteps, decay }: LearningRateSchedule, step: number): number {
  if (step <= warmupSteps) return (peak * step) / warmupSteps;
  const share = (step - warmupSteps - 1) / Math.max(1, totalSteps - warmupSteps);
  switch (decay) {
    case "none":
      return peak;
    case "linear":
      return peak * (1 - share);
    case "cosine":
      return (peak * (1 + Math.cos(Math.PI * share))) / 2;
  }
}
