import type { Json, JsonFields, TrackedRun } from "../contract.ts";
import { at, textAt, type WandbClient } from "./graphql.ts";
import { RUN_STATUS, UPSERT_RUN } from "./operations.ts";
import { JOB_TYPE, runConfig, runTags } from "./run-description.ts";
import { runTarget, type WandbSettings } from "./settings.ts";

/** A run as the server has it. */
export interface RemoteRun {
  readonly entity: string;
  readonly project: string;
  readonly id: string;
  /** Its page. */
  readonly url: string;
  /** Whether this call made it. */
  readonly created: boolean;
}

/** Creates the run, or brings its configuration, name and tags up to date. Idempotent. @throws Fault of {@link WandbClient} */
export async function upsertRun(client: WandbClient, settings: WandbSettings, run: TrackedRun, signal: AbortSignal): Promise<RemoteRun> {
  const { entity, project } = runTarget(settings, run);
  const variables = { name: run.id, project, entity: entity ?? null, displayName: run.name, jobType: JOB_TYPE, tags: runTags(run) };
  const data = await client.query(UPSERT_RUN, { ...variables, config: JSON.stringify(wireConfig(run)) }, signal);
  const bucket = at(data, "upsertBucket", "bucket");
  const [entityName, projectName] = [textAt(bucket, "project", "entity", "name"), textAt(bucket, "project", "name")];
  const url = [appUrl(settings.baseUrl), entityName, projectName, "runs", run.id].map((part, index) =>
    index === 0 ? part : encodeURIComponent(part),
  );
  return {
    entity: entityName,
    project: projectName,
    id: run.id,
    url: url.join("/"),
    created: at(data, "upsertBucket", "inserted") === true,
  };
}

/** How far a run has come. */
export interface RemoteStatus {
  readonly historyLines: number;
  /** The step of the last line; 0: none, or not known. */
  readonly lastStep: number;
  readonly summary: JsonFields;
}

/** Undefined when there is no such run. */
export async function remoteStatus(
  client: WandbClient,
  where: { readonly entity: string | undefined; readonly project: string; readonly id: string },
  signal: AbortSignal,
): Promise<RemoteStatus | undefined> {
  const data = await client.query(RUN_STATUS, { entity: where.entity ?? null, project: where.project, name: where.id }, signal);
  const bucket = at(data, "model", "bucket");
  if (bucket === undefined || bucket === null) return undefined;
  const tail = parsed(at(bucket, "historyTail"));
  const lastLine = Array.isArray(tail) ? parsed(tail.at(-1)) : undefined;
  const summary = parsed(at(bucket, "summaryMetrics"));
  return {
    historyLines: Number(at(bucket, "historyLineCount") ?? 0),
    lastStep: Number(at(lastLine, "_step")) || 0,
    summary: typeof summary === "object" && summary !== null && !Array.isArray(summary) ? (summary as JsonFields) : {},
  };
}

/** W&B keeps JSON in strings, and marks configuration values as such. `_wandb.t` says that the run has begun. */
function wireConfig(run: TrackedRun): JsonFields {
  const wrapped = Object.entries(runConfig(run)).map(([name, value]) => [name, { value }] as const);
  return { ...Object.fromEntries(wrapped), _wandb: { value: { t: {} } } };
}

function parsed(json: Json | undefined): Json | undefined {
  if (typeof json !== "string") return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined; // A server that keeps its own notes in the field; then nothing is known from it.
  }
}

/** People's address of an API: `api.wandb.ai` is theirs alone, others serve both. */
function appUrl(baseUrl: string): string {
  return baseUrl.replace(/^https:\/\/api\.wandb\.ai$/, "https://wandb.ai");
}
