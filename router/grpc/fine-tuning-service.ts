import { asProjectId, type Clock, Fault } from "#kernel";
import type { FineTuningServiceService, UploadFileRequest } from "#proto";
import { type Catalog, type CatalogView, DEFAULT_PROJECT } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { TenantFiles } from "../files/index.ts";
import type { FineTuning } from "../fine-tuning/index.ts";
import { tenantFor } from "../keys/index.ts";
import { checkpointMessage, eventMessage, fileMessage, jobMessage } from "./fine-tuning-messages.ts";
import type { GuardedHandlers } from "./guard.ts";

export interface FineTuningServiceDeps {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly tenantFiles: TenantFiles;
  readonly fineTuning: FineTuning;
}

/** OpenAI's. What a file is for decides nothing here but whether a job may learn from it. */
const PURPOSES: ReadonlySet<string> = new Set(["fine-tune", "batch", "assistants", "vision", "user_data", "evals"]);
const FILENAME_CHARACTERS_MAX = 255;
const LIST_LIMIT = { default: 20, max: 100 } as const;

export function fineTuningHandlers(deps: FineTuningServiceDeps): GuardedHandlers<typeof FineTuningServiceService> {
  const { tenantFiles, fineTuning } = deps;
  const { jobs } = fineTuning;
  const { view } = deps.catalog;
  return {
    uploadFile: async (requests, { principal, signal }) => ({ file: fileMessage(await receive(deps, principal, requests, signal)) }),
    async listFiles({ purpose }, { principal }) {
      const files = tenantFiles.list(principal).filter((file) => purpose === "" || file.purpose === purpose);
      return { files: files.map(fileMessage) };
    },
    getFile: async ({ id }, { principal }) => ({ file: fileMessage(tenantFiles.get(principal, id)) }),
    async *downloadFile({ id }, { principal, signal }) {
      for await (const piece of tenantFiles.read(tenantFiles.get(principal, id), signal)) yield { piece: asBuffer(piece) };
    },
    async deleteFile({ id }, { principal }) {
      await tenantFiles.remove(principal, id);
      return {};
    },

    createJob: async (request, { principal }) => ({
      job: jobMessage(view, await jobs.create(onBehalfOf(view, principal, request.tenantId), request)),
    }),
    getJob: async ({ id }, { principal }) => ({ job: jobMessage(view, jobs.get(principal, id)) }),
    async listJobs({ after, limit, metadata }, { principal }) {
      if (limit > LIST_LIMIT.max) throw invalid("limit", `limit is ${limit}; at most ${LIST_LIMIT.max} are given`);
      const query = { limit: limit || LIST_LIMIT.default, metadata, ...(after !== "" && { after }) };
      const { jobs: listed, hasMore } = jobs.list(principal, query);
      return { jobs: listed.map((job) => jobMessage(view, job)), hasMore };
    },
    cancelJob: async ({ id }, { principal }) => ({ job: jobMessage(view, await jobs.cancel(principal, id)) }),
    pauseJob: async ({ id }, { principal }) => ({ job: jobMessage(view, await jobs.pause(principal, id)) }),
    resumeJob: async ({ id }, { principal }) => ({ job: jobMessage(view, await jobs.resume(principal, id)) }),
    async *watchEvents({ id, after, follow }, { principal, signal }) {
      for await (const event of jobs.watch(principal, id, after, follow, signal)) yield { event: eventMessage(id, event) };
    },
    async listCheckpoints({ id }, { principal }) {
      const job = jobs.get(principal, id);
      return { checkpoints: job.checkpoints.toReversed().map((checkpoint) => checkpointMessage(view, job, checkpoint)) };
    },
  };
}

async function receive(
  { tenantFiles, clock, catalog }: FineTuningServiceDeps,
  principal: Principal,
  requests: AsyncIterable<UploadFileRequest>,
  signal: AbortSignal,
) {
  const upload = requests[Symbol.asyncIterator]();
  const first = await upload.next();
  const part = first.done ? undefined : first.value.part;
  if (part?.$case !== "header") throw new Fault("message_malformed", "an upload begins with its header", { detail: { field: "header" } });
  const { filename, purpose, expiresAtMs, tenantId } = part.value;
  if (!PURPOSES.has(purpose)) throw invalid("purpose", `purpose is "${purpose}"; it must be one of ${[...PURPOSES].join(", ")}`);
  if (filename === "" || filename.length > FILENAME_CHARACTERS_MAX)
    throw invalid("filename", `filename has 1 to ${FILENAME_CHARACTERS_MAX} characters`);
  const expiresAfterMs = expiresAtMs === 0 ? undefined : expiresAtMs - clock.now();
  if (expiresAfterMs !== undefined && expiresAfterMs <= 0) throw invalid("expires_at_ms", "expires_at_ms is past");
  await using file = await tenantFiles.receive(onBehalfOf(catalog.view, principal, tenantId), filename);
  for (let next = await upload.next(); !next.done; next = await upload.next()) {
    if (next.value.part?.$case !== "bytes")
      throw new Fault("message_malformed", "after its header an upload holds bytes only", { detail: { field: "part" } });
    await file.append(next.value.part.value);
  }
  signal.throwIfAborted(); // A cancelled upload ends like a whole one.
  return await file.keep({ purpose, ...(expiresAfterMs !== undefined && { expiresAfterMs }) });
}

/** A tenant itself; an operator as the tenant it names. @throws Fault parameter_invalid or resource_unknown */
function onBehalfOf(view: CatalogView, principal: Principal, named: string): Principal {
  const tenantId = tenantFor(view, principal, named);
  return principal.tenantId === undefined ? { ...principal, tenantId, projectId: asProjectId(DEFAULT_PROJECT) } : principal;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
