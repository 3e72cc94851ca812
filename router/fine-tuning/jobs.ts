import { Fault, type Millis, type TenantId } from "#kernel";
import type { CreateJobRequest } from "#proto";
import { DEFAULT_PROJECT, type FileRecord, isJobOver as isOver, type JobRecord, STANDARD_PLAN, unknownModel } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { priceVersionAt } from "../prices/index.ts";
import { cancelJob } from "./job-ending.ts";
import type { JobEvent } from "./job-events.ts";
import { identifyJob, sameJob } from "./job-identity.ts";
import { POLL_MS } from "./job-limits.ts";
import type { JobParts } from "./job-parts.ts";
import { needs, paused, resumed } from "./job-state.ts";
import { checkWish, invalid } from "./job-wish.ts";

/** Which jobs, newest first. */
export interface JobQuery {
  /** Those made before this one. */
  readonly after?: string;
  readonly limit: number;
  readonly metadata: Readonly<Record<string, string>>;
}

const EVENTS_AT_ONCE = 200;
/** About what texts come to. For the money that is set aside until the files have been counted. */
const BYTES_PER_TOKEN = 4;
const EPOCHS_USUAL = 3;

/** Fine-tuning jobs, as their tenants see them. A foreign job is one that does not exist. */
export class Jobs {
  readonly #parts: JobParts;
  readonly #closed = new AbortController();

  constructor(parts: JobParts) {
    this.#parts = parts;
  }

  /**
   * @throws Fault parameter_invalid or parameter_unsupported, naming the field; model_unknown, resource_unknown for a file;
   * rate_exceeded for more jobs than a tenant may have; budget_spent; idempotency_key_reused
   */
  async create(principal: Principal, request: CreateJobRequest): Promise<JobRecord> {
    const { catalog, clock, randomSecret, limits } = this.#parts;
    const wish = checkWish(request);
    const { tenantId, projectId } = ownerOf(principal);
    const { id, seed } = identifyJob(tenantId, request.idempotencyKey, randomSecret);
    const known = catalog.view.own("job", tenantId, id);
    if (known) return sameJob(known, wish, request);
    const base = this.#base(request.model);
    const trainingFile = this.#file(principal, "training_file", request.trainingFile);
    const validationFile = request.validationFile === "" ? undefined : this.#file(principal, "validation_file", request.validationFile);
    await this.#makeRoom(tenantId);
    const createdAt = clock.now();
    const job: JobRecord = {
      ...wish,
      id,
      ...{ tenantId, projectId, keyId: principal.keyId, createdAt, state: "validating_files" },
      ...{ baseName: base.name, baseDigest: base.digest, trainingFile: trainingFile.id },
      ...(validationFile && { validationFile: validationFile.id }),
      seed: wish.seed ?? seed,
      priceVersion: priceVersionAt(catalog.view, catalog.view.get("tenant", tenantId)?.pricePlan ?? STANDARD_PLAN, createdAt),
      ...{ reasons: {}, plannedTokens: 0, trainedTokens: 0, stepsDone: 0, stepsTotal: 0 },
      ...{ checkpointStep: 0, checkpoints: [], resultFiles: [] },
    };
    const tokensEstimate = Math.ceil(trainingFile.sizeBytes / BYTES_PER_TOKEN) * (wish.wished.epochs ?? EPOCHS_USUAL);
    await this.#parts.money.hold(job, Math.min(tokensEstimate, limits.plannedTokensMax));
    if (!(await catalog.create("job", id, job))) {
      const other = await catalog.change("job", id, (made) => made); // Of a router that was first; the view may not know it yet.
      if (!other) throw unknownJob(id);
      return sameJob(other, wish, request);
    }
    await this.#note(job.id, `Created fine-tuning job: ${job.id}`, `Validating training file: ${job.trainingFile}`);
    return job;
  }

  /** @throws Fault resource_unknown */
  get({ tenantId }: Principal, id: string): JobRecord {
    const job = this.#parts.catalog.view.own("job", tenantId, id);
    if (!job) throw unknownJob(id);
    return job;
  }

  /** @throws Fault resource_unknown for a cursor that is no job of the caller's */
  list(principal: Principal, query: JobQuery): { readonly jobs: readonly JobRecord[]; readonly hasMore: boolean } {
    const { view } = this.#parts.catalog;
    const { tenantId } = principal;
    const all = [...(tenantId === undefined ? view.all("job") : view.of("job", tenantId))].sort(newestFirst);
    const begin = query.after === undefined ? 0 : all.indexOf(this.get(principal, query.after)) + 1;
    const wanted = all
      .slice(begin)
      .filter(({ metadata }) =>
        Object.entries(query.metadata).every(([key, value]) => Object.hasOwn(metadata, key) && metadata[key] === value),
      );
    return { jobs: wanted.slice(0, query.limit), hasMore: wanted.length > query.limit };
  }

  /** @throws Fault resource_unknown, job_not_running */
  async cancel(principal: Principal, id: string): Promise<JobRecord> {
    return cancelJob(this.#parts, this.get(principal, id));
  }

  /** Its trainer saves where it stands, and turns to another job. @throws Fault resource_unknown, job_not_running */
  pause(principal: Principal, id: string): Promise<JobRecord> {
    return this.#change(principal, id, paused, "The job is paused");
  }

  /** @throws Fault resource_unknown, job_not_running */
  resume(principal: Principal, id: string): Promise<JobRecord> {
    return this.#change(principal, id, resumed, "The job is queued again");
  }

  /** Nobody follows a job here any more: who does is told to go on elsewhere. Everything else goes on. */
  close(): void {
    this.#closed.abort(new Fault("shutting_down", "this router is shutting down: follow the job from here on at another one"));
  }

  /**
   * Events behind a position; with `follow` also those to come, until the job is over.
   * @throws Fault resource_unknown; shutting_down for those to come, once closed
   */
  async *watch(principal: Principal, id: string, after: number, follow: boolean, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const following = AbortSignal.any([signal, this.#closed.signal]);
    for (let position = after; ; ) {
      const over = isOver(this.get(principal, id)); // Looked at first: what is told of its end is then there.
      const page = await this.#parts.events.read(id, position, EVENTS_AT_ONCE);
      yield* page;
      position = page.at(-1)?.position ?? position;
      if (page.length > 0) continue;
      if (over || !follow) return;
      await this.#parts.clock.after(POLL_MS, following);
    }
  }

  /** Newest first: those before a position, or the last ones. @throws Fault resource_unknown */
  async eventsBefore(principal: Principal, id: string, before: number | undefined, limit: number): Promise<readonly JobEvent[]> {
    this.get(principal, id);
    const { events } = this.#parts;
    const last = before === undefined ? await events.count(id) : before - 1;
    const first = Math.max(1, last - limit + 1);
    return last < first ? [] : (await events.read(id, first - 1, last - first + 1)).toReversed();
  }

  /** Whether there is a job of anybody's for which a trainer is needed. */
  waiting(): boolean {
    return this.#parts.catalog.view.all("job").some((job) => needs(job, "validate") || needs(job, "train"));
  }

  async #change(principal: Principal, id: string, next: (job: JobRecord) => JobRecord, told: string): Promise<JobRecord> {
    this.get(principal, id);
    const job = await this.#parts.catalog.change("job", id, next);
    if (!job) throw unknownJob(id);
    await this.#note(id, told);
    return job;
  }

  #note(id: string, ...messages: readonly string[]): Promise<void> {
    return this.#parts.events.append(
      id,
      messages.map((message) => ({ level: "info", message })),
    );
  }

  #base(name: string) {
    if (name === "") throw invalid("model", "model is missing: name a base");
    const { bases } = this.#parts.models.names;
    const base = bases.find(name);
    if (base) return base;
    // A router that has just started, or a cluster that lost its nodes, must not send clients away for ever.
    if (!bases.complete) throw new Fault("no_ready_node", "no node is ready yet; what bases there are is not known");
    throw unknownModel(name);
  }

  #file(principal: Principal, field: string, id: string): FileRecord {
    if (id === "") throw invalid(field, `${field} is missing: upload one first`);
    const file = this.#parts.files.get(principal, id);
    if (file.purpose !== "fine-tune") throw invalid(field, `${field} has the purpose ${file.purpose}; it must be fine-tune`);
    return file;
  }

  /** @throws Fault rate_exceeded */
  async #makeRoom(tenantId: TenantId): Promise<void> {
    const { catalog, limits } = this.#parts;
    const own = [...catalog.view.of("job", tenantId)];
    if (own.filter((job) => !isOver(job)).length >= limits.unfinishedJobsMax) {
      const message = `a tenant has at most ${limits.unfinishedJobsMax} jobs that are not over: wait for one, or cancel it`;
      throw new Fault("rate_exceeded", message, { retry: { kind: "never" } });
    }
    const endedAt = ({ finishedAt = 0 }: JobRecord): Millis => finishedAt;
    const over = own.filter(isOver).sort((one, other) => endedAt(one) - endedAt(other));
    for (const job of over.slice(0, Math.max(0, own.length + 1 - limits.jobsMax))) await catalog.remove("job", job.id);
  }
}

function ownerOf({ tenantId, projectId }: Principal): Pick<JobRecord, "tenantId" | "projectId"> {
  if (tenantId === undefined) throw new Fault("scope_missing", "a job belongs to a tenant: use a key of one");
  return { tenantId, projectId: projectId ?? (DEFAULT_PROJECT as JobRecord["projectId"]) };
}

function newestFirst(one: JobRecord, other: JobRecord): number {
  return other.createdAt - one.createdAt || (one.id < other.id ? 1 : -1);
}

function unknownJob(id: string): Fault {
  return new Fault("resource_unknown", `the job "${id}" does not exist or you do not have access to it`, { detail: { resource: id } });
}
