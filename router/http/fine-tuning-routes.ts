import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { shapeWords } from "#kernel";
import type { CatalogView } from "../catalog/index.ts";
import type { FineTuning } from "../fine-tuning/index.ts";
import { jobRequestOf } from "./fine-tuning-body.ts";
import { checkpointShape, eventPosition, eventShape, jobShape } from "./fine-tuning-shape.ts";
import { invalidField } from "./request-body.ts";

export interface FineTuningRouteDeps {
  readonly fineTuning: FineTuning;
  readonly view: CatalogView;
}

interface Named {
  Params: { readonly id: string };
}

const LIMIT_MAX = 100;
const Page = z.object({ limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(20), after: z.string().optional() });
const METADATA = /^metadata\[(.*)\]$/;

/** `/v1/fine_tuning/jobs`, as OpenAI's clients ask it. */
export function addFineTuningRoutes(server: FastifyInstance, { fineTuning, view }: FineTuningRouteDeps): void {
  const { jobs } = fineTuning;
  const jobPath = "/v1/fine_tuning/jobs/:id";

  server.post("/v1/fine_tuning/jobs", async ({ principal, body, headers }) => {
    const request = jobRequestOf(body, String(headers["idempotency-key"] ?? ""));
    return jobShape(view, await jobs.create(principal, request));
  });

  server.get("/v1/fine_tuning/jobs", async ({ principal, query }) => {
    const { limit, after } = pageOf(query);
    const metadata = metadataOf(query as Readonly<Record<string, unknown>>);
    const { jobs: listed, hasMore } = jobs.list(principal, { limit, metadata, ...(after !== undefined && { after }) });
    return { object: "list", data: listed.map((job) => jobShape(view, job)), has_more: hasMore };
  });

  server.get<Named>(jobPath, async ({ principal, params }) => jobShape(view, jobs.get(principal, params.id)));
  for (const verb of ["cancel", "pause", "resume"] as const)
    server.post<Named>(`${jobPath}/${verb}`, async ({ principal, params }) => jobShape(view, await jobs[verb](principal, params.id)));

  server.get<Named>(`${jobPath}/events`, async ({ principal, params, query }) => {
    const job = jobs.get(principal, params.id);
    const { limit, after } = pageOf(query);
    const before = after === undefined ? undefined : eventPosition(job.id, after);
    if (after !== undefined && before === undefined) throw invalidField("after", `there is no event ${after} of this job`);
    const events = await jobs.eventsBefore(principal, job.id, before, limit);
    return { object: "list", data: events.map((event) => eventShape(job.id, event)), has_more: (events.at(-1)?.position ?? 1) > 1 };
  });

  server.get<Named>(`${jobPath}/checkpoints`, async ({ principal, params, query }) => {
    const job = jobs.get(principal, params.id);
    const { limit, after } = pageOf(query);
    const all = job.checkpoints.toReversed().map((checkpoint) => checkpointShape(view, job, checkpoint));
    const begin = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && begin === 0) throw invalidField("after", `there is no checkpoint ${after} of this job`);
    const data = all.slice(begin, begin + limit);
    const [first_id, last_id] = [data[0]?.id ?? null, data.at(-1)?.id ?? null];
    return { object: "list", data, first_id, last_id, has_more: begin + limit < all.length };
  });
}

function pageOf(query: unknown): z.output<typeof Page> {
  const read = Page.safeParse(query, { error: shapeWords });
  if (!read.success) throw invalidField(read.error.issues[0]!.path.join("."), read.error.issues[0]!.message);
  return read.data;
}

/** `metadata[key]=value`, as often as wanted. */
function metadataOf(query: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    const key = METADATA.exec(name)?.[1];
    return key === undefined ? [] : [[key, String(value)] as const];
  });
  return Object.fromEntries(pairs);
}
