import type { Millis } from "#kernel";
import type { StepMetrics } from "#proto";
import type { TrainingStepReport } from "../process/index.ts";

/** What was measured at a step, as the router is told. `elapsedMs`: since the job began. */
export function stepMetrics(report: TrainingStepReport, elapsedMs: Millis): StepMetrics {
  const { step, loss, accuracy, learningRate, gradientNorm, trainedTokens, validation } = report;
  const scored = validation?.classification;
  const classes = scored && {
    accuracy: scored.accuracy,
    "weighted_f1.0": scored.weightedF1,
    precision: scored.precision,
    recall: scored.recall,
  };
  return {
    ...{ step, trainLoss: loss, trainMeanTokenAccuracy: accuracy, learningRate, gradientNorm, trainedTokens },
    elapsedS: elapsedMs / 1000,
    // All held-out examples are scored each time, so that what OpenAI measures on a part and on the whole is one.
    validLoss: validation?.loss,
    validMeanTokenAccuracy: validation?.accuracy,
    fullValidLoss: validation?.loss,
    fullValidMeanTokenAccuracy: validation?.accuracy,
    classification: Object.fromEntries(
      Object.entries(classes ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[`classification/${name}`, value]])),
    ),
  };
}
