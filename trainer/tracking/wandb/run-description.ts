import type { Json, JsonFields, MetricRow, RunEnd, TrackedRun } from "../contract.ts";
import { jsonNumber } from "../metric-row.ts";

/** What fine-tuning runs are called in W&B's own integrations; groups and filters there are built on it. */
export const JOB_TYPE = "fine-tune";

/** Those that OpenAI gives its runs, so that dashboards made for them work, and the job's own. W&B takes 64 characters a tag. */
export function runTags(run: TrackedRun): readonly string[] {
  const tags = ["openai/finetune", `openai/${run.baseModel}`, `openai/${run.id}`, ...run.tags];
  return [...new Set(tags.map((tag) => tag.slice(0, 64)))];
}

/** Top-level names become columns of W&B's tables; lists of one are shown as their item, as its integrations do. */
export function runConfig(run: TrackedRun): JsonFields {
  const config = Object.entries(run.config).map(([name, value]) => [name, unwrapped(value)] as const);
  const counts = [
    ["n_train", run.trainingFile?.examples],
    ["n_valid", run.validationFile?.examples],
  ] as const;
  return Object.fromEntries([...config, ...counts.filter(([, count]) => count !== undefined)]) as JsonFields;
}

function unwrapped(value: Json): Json {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

/** A row of the history, by field. W&B's x axes are the three that begin with an underscore; `_timestamp` is in seconds. */
export function historyFields(row: MetricRow): JsonFields {
  const metrics = [...row.metrics].map(([name, value]) => [name, jsonNumber(value)] as const);
  return { ...Object.fromEntries(metrics), _step: row.step, _runtime: row.elapsedS, _timestamp: row.atMs / 1000 };
}

/** What the run's page shows at its end: the last value of each metric, and what the job became. */
export function endSummary(last: JsonFields, end: RunEnd): JsonFields {
  const runtime = typeof last["_runtime"] === "number" ? { _wandb: { runtime: Math.round(last["_runtime"]) } } : {};
  return { ...last, ...end.summary, status: end.outcome, ...runtime };
}

/** W&B shows 0 as finished, others as failed; 255 is what an interrupted program gives. */
export const EXIT_CODES: Readonly<Record<Exclude<RunEnd["outcome"], "paused">, number>> = { succeeded: 0, failed: 1, cancelled: 255 };
