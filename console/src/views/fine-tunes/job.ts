import { get, pathOf, post } from "../../api/index.ts";

export type JobStatus = "validating_files" | "queued" | "running" | "paused" | "succeeded" | "failed" | "cancelled";

/** `fine_tuning.job`, as far as the console reads it. Times in seconds. */
export interface Job {
  readonly id: string;
  readonly model: string;
  /** The tenant. */
  readonly organization_id: string;
  readonly status: JobStatus;
  readonly created_at: number;
  readonly finished_at: number | null;
  readonly estimated_finish: number | null;
  readonly fine_tuned_model: string | null;
  readonly result_files: readonly string[];
  readonly trained_tokens: number | null;
  readonly hyperparameters: Readonly<Record<string, number | string | boolean>>;
  readonly reasons: Readonly<Record<string, string>>;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly seed: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly user_provided_suffix: string;
  readonly steps_done: number;
  readonly steps_total: number;
}

/** By name; a step without a validation has no `valid_loss`. */
export type Metrics = Readonly<Record<string, number>>;

export interface JobEvent {
  readonly id: string;
  readonly created_at: number;
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly type: "message" | "metrics";
  readonly data: Metrics;
}

export interface Checkpoint {
  readonly id: string;
  readonly created_at: number;
  readonly step_number: number;
  /** Null for one that was removed. */
  readonly fine_tuned_model_checkpoint: string | null;
  readonly metrics: Metrics;
}

interface List<T> {
  readonly data: readonly T[];
  readonly has_more: boolean;
}

const JOBS = "/v1/fine_tuning/jobs";
const PAGE = 100;
/** Of one job's events, newest first: more points than a plot has pixels. */
const PAGES_MAX = 40;

export function isOver({ status }: Job): boolean {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}

export async function listJobs(signal: AbortSignal): Promise<readonly Job[]> {
  return (await get<List<Job>>(JOBS, { limit: PAGE }, signal)).data;
}

export async function listSweep(sweep: string, signal: AbortSignal): Promise<readonly Job[]> {
  return (await get<List<Job>>(JOBS, { limit: PAGE, "metadata[sweep]": sweep }, signal)).data;
}

export function getJob(id: string, signal: AbortSignal): Promise<Job> {
  return get<Job>(`${JOBS}${pathOf(id)}`, {}, signal);
}

export async function listCheckpoints(id: string, signal: AbortSignal): Promise<readonly Checkpoint[]> {
  return (await get<List<Checkpoint>>(`${JOBS}${pathOf(id, "checkpoints")}`, {}, signal)).data;
}

/** Those behind the last one that is known, oldest first. */
export async function eventsAfter(id: string, known: string | undefined, signal: AbortSignal): Promise<readonly JobEvent[]> {
  const fresh: JobEvent[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const { data, has_more } = await get<List<JobEvent>>(`${JOBS}${pathOf(id, "events")}`, { limit: PAGE, after }, signal);
    const end = data.findIndex((event) => event.id === known);
    fresh.push(...(end < 0 ? data : data.slice(0, end)));
    if (end >= 0 || !has_more) break;
    after = data.at(-1)?.id;
  }
  return fresh.reverse();
}

export function createJob(body: object): Promise<Job> {
  return post<Job>(JOBS, body, { headers: { "idempotency-key": crypto.randomUUID() } });
}

export function command(id: string, verb: "cancel" | "pause" | "resume"): Promise<Job> {
  return post<Job>(`${JOBS}${pathOf(id, verb)}`);
}
