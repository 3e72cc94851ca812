import type { Json, MetricRow, TrackedStep } from "./contract.ts";

/** The metrics of a step under the names of the result file; what OpenAI's file does not have keeps the wire's name. */
const METRIC_NAMES = [
  ["train_loss", "trainLoss"],
  ["train_accuracy", "trainMeanTokenAccuracy"],
  ["valid_loss", "validLoss"],
  ["valid_mean_token_accuracy", "validMeanTokenAccuracy"],
  ["full_valid_loss", "fullValidLoss"],
  ["full_valid_mean_token_accuracy", "fullValidMeanTokenAccuracy"],
  ["learning_rate", "learningRate"],
  ["gradient_norm", "gradientNorm"],
] as const satisfies readonly (readonly [string, keyof TrackedStep])[];

/** In every row, and last: whoever has it has the whole row. */
export const LAST_METRIC = "trained_tokens";

export function metricRow(step: TrackedStep): MetricRow {
  const metrics = new Map<string, number>();
  for (const [name, field] of METRIC_NAMES) {
    const value = step[field];
    if (value !== undefined) metrics.set(name, value);
  }
  for (const [name, value] of Object.entries(step.classification ?? {})) metrics.set(name, value);
  metrics.delete(LAST_METRIC);
  metrics.set(LAST_METRIC, step.trainedTokens);
  return { step: step.step, atMs: step.atMs, elapsedS: step.elapsedS, metrics };
}

/** JSON has no NaN and no infinities: they are written as protocol buffers' JSON does, which trackers read. */
export function jsonNumber(value: number): Json {
  return Number.isFinite(value) ? value : String(value);
}

/** The row as one JSON line, without its line feed. */
export function formatRow(row: MetricRow): string {
  const metrics = Object.fromEntries([...row.metrics].map(([name, value]) => [name, jsonNumber(value)]));
  return JSON.stringify({ step: row.step, at_ms: row.atMs, elapsed_s: row.elapsedS, metrics });
}

/** The row of a line, or undefined when the line is torn. */
export function parseRow(line: string): MetricRow | undefined {
  try {
    const { step, at_ms: atMs, elapsed_s: elapsedS, metrics } = JSON.parse(line);
    return { step, atMs, elapsedS, metrics: new Map(Object.entries(metrics as object).map(([name, value]) => [name, Number(value)])) };
  } catch {
    return undefined; // Half a line, or the zeros that a power cut leaves: never a row of ours.
  }
}
