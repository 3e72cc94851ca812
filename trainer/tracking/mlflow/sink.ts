import { type Bytes, Fault, isFault, type Millis, SECOND } from "#kernel";
import type { Json, JsonFields, MetricRow, RunEnd, Sink, TrackedRun } from "../contract.ts";
import { jsonNumber, LAST_METRIC } from "../metric-row.ts";
import { createServiceClient, type ServiceClient, type ServiceDeps } from "../service-client.ts";
import type { MlflowSettings } from "./settings.ts";

const PAUSE_MS: Millis = 5 * SECOND;

/** MLflow's limits of `log-batch`, and of names and values. */
const BATCH_METRICS_MAX = 1000;
const BATCH_PARAMETERS_MAX = 100;
const BATCH_BYTES_MAX: Bytes = 1_000_000;
const NAME_LENGTH_MAX = 250;
/** Servers before 2.8 take no more, and none takes a list of 100 of them above {@link BATCH_BYTES_MAX}. */
const PARAMETER_LENGTH_MAX = 500;
const TAG_LENGTH_MAX = 5000;

/** Runs are found again by it: MLflow chooses its runs' ids itself. */
const JOB_TAG = "deltaplane.job_id";

const STATUS: Readonly<Record<RunEnd["outcome"], string>> = {
  succeeded: "FINISHED",
  failed: "FAILED",
  cancelled: "KILLED",
  paused: "SCHEDULED",
};

/** The run on an MLflow server: parameters, tags, metrics by step, status. */
export function createMlflowSink(deps: ServiceDeps, settings: MlflowSettings): Sink {
  const { baseUrl, headers } = settings;
  const service = createServiceClient(deps, { name: "MLflow", baseUrl: `${baseUrl}/api/2.0/mlflow`, headers });
  let runId: string;

  const logBatch = (batch: JsonFields, signal: AbortSignal) => service.call("POST", "/runs/log-batch", { run_id: runId, ...batch }, signal);

  return {
    name: "mlflow",
    pauseMs: PAUSE_MS,
    async start(run, signal) {
      const experimentId = await experiment(service, run.project ?? settings.experiment, signal);
      const found = await findRun(service, experimentId, run, signal);
      runId = found?.id ?? (await createRun(service, experimentId, run, signal));
      for (const params of parameterBatches(run, found?.parameters ?? new Set())) await logBatch({ params }, signal);
      if (found) await service.call("POST", "/runs/update", { run_id: runId, status: "RUNNING" }, signal);
      const page = `${baseUrl}/#/experiments/${encodeURIComponent(experimentId)}/runs/${encodeURIComponent(runId)}`;
      return { heldStep: found?.lastStep ?? 0, url: page };
    },
    async write(rows, signal) {
      for (const metrics of metricBatches(rows)) await logBatch({ metrics }, signal);
    },
    async finish(end, signal) {
      const tags = Object.entries(end.summary).map(([key, value]) => ({
        key: key.slice(0, NAME_LENGTH_MAX),
        value: valueText(value, TAG_LENGTH_MAX),
      }));
      if (tags.length > 0) await logBatch({ tags: tags.slice(0, BATCH_PARAMETERS_MAX) }, signal);
      const ended = end.outcome === "paused" ? {} : { end_time: end.atMs };
      await service.call("POST", "/runs/update", { run_id: runId, status: STATUS[end.outcome], ...ended }, signal);
    },
  };
}

async function experiment(service: ServiceClient, name: string, signal: AbortSignal): Promise<string> {
  try {
    const found = await service.call("GET", `/experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`, undefined, signal);
    return textAt(found, "experiment", "experiment_id");
  } catch (error) {
    if (!isFault(error, "tracker_refused") || !error.message.includes("RESOURCE_DOES_NOT_EXIST")) throw error;
    return textAt(await service.call("POST", "/experiments/create", { name }, signal), "experiment_id");
  }
}

interface FoundRun {
  readonly id: string;
  readonly lastStep: number;
  /** Names. What a parameter was first, it stays: MLflow refuses another value. */
  readonly parameters: ReadonlySet<string>;
}

async function findRun(service: ServiceClient, experimentId: string, run: TrackedRun, signal: AbortSignal): Promise<FoundRun | undefined> {
  const filter = `tags.\`${JOB_TAG}\` = '${run.id.replace(/[^\w-]/g, "")}'`;
  const { runs } = await service.call("POST", "/runs/search", { experiment_ids: [experimentId], filter, max_results: 1 }, signal);
  const found = Array.isArray(runs) ? (runs[0] as JsonFields | undefined) : undefined;
  if (found === undefined) return undefined;
  const data = found["data"] as { readonly metrics?: readonly JsonFields[]; readonly params?: readonly JsonFields[] } | undefined;
  const last = data?.metrics?.find((metric) => metric["key"] === LAST_METRIC);
  const parameters = new Set(data?.params?.map((parameter) => String(parameter["key"])));
  return { id: textAt(found, "info", "run_id"), lastStep: Number(last?.["step"]) || 0, parameters };
}

async function createRun(service: ServiceClient, experimentId: string, run: TrackedRun, signal: AbortSignal): Promise<string> {
  const tags = [
    { key: JOB_TAG, value: run.id },
    { key: "deltaplane.base", value: run.baseModel },
    ...run.tags.map((tag) => ({ key: `deltaplane.tag.${tag}`.slice(0, NAME_LENGTH_MAX), value: "true" })),
  ];
  const body = { experiment_id: experimentId, run_name: run.name, start_time: run.startedAtMs, tags };
  return textAt(await service.call("POST", "/runs/create", body, signal), "run", "info", "run_id");
}

function* parameterBatches(run: TrackedRun, held: ReadonlySet<string>): Generator<JsonFields[]> {
  const parameters = flattened(run.config, "")
    .filter(([key]) => !held.has(key))
    .map(([key, value]) => ({ key, value: valueText(value, PARAMETER_LENGTH_MAX) }));
  for (let first = 0; first < parameters.length; first += BATCH_PARAMETERS_MAX) yield parameters.slice(first, first + BATCH_PARAMETERS_MAX);
}

/** `method.supervised.n_epochs`: MLflow knows no nesting, and not every sign in a name. */
function flattened(fields: JsonFields, prefix: string): readonly (readonly [string, Json])[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    const path = `${prefix}${name.replace(/[^\w.\-/ ]/g, "_")}`.slice(0, NAME_LENGTH_MAX);
    const nested = typeof value === "object" && value !== null && !Array.isArray(value);
    return nested ? flattened(value as JsonFields, `${path}.`) : [[path, value] as const];
  });
}

function valueText(value: Json, lengthMax: number): string {
  return (typeof value === "string" ? value : JSON.stringify(value)).slice(0, lengthMax);
}

/** Whole rows only: with the last metric of a row its others are there too. */
function* metricBatches(rows: readonly MetricRow[]): Generator<JsonFields[]> {
  let batch: JsonFields[] = [];
  let sizeBytes = 0;
  for (const row of rows) {
    const metrics = [...row.metrics].map(([key, value]) => ({
      key,
      value: jsonNumber(value),
      timestamp: Math.round(row.atMs),
      step: row.step,
    }));
    const rowBytes = Buffer.byteLength(JSON.stringify(metrics));
    if (metrics.length > BATCH_METRICS_MAX)
      throw new Fault("tracker_refused", `step ${row.step} has more metrics than MLflow takes at once`);
    // A tenth is left for what surrounds the metrics.
    if (batch.length + metrics.length > BATCH_METRICS_MAX || sizeBytes + rowBytes > BATCH_BYTES_MAX * 0.9) {
      yield batch;
      batch = [];
      sizeBytes = 0;
    }
    batch.push(...metrics);
    sizeBytes += rowBytes;
  }
  if (batch.length > 0) yield batch;
}

/** @throws Fault tracker_refused when the answer does not have it */
function textAt(value: JsonFields, ...path: readonly string[]): string {
  const text = path.reduce<Json | undefined>((inner, name) => (inner as JsonFields | undefined)?.[name], value);
  if (typeof text !== "string") throw new Fault("tracker_refused", `MLflow's answer lacks ${path.join(".")}`);
  return text;
}
