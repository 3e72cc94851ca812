import type { OutgoingHttpHeaders } from "node:http";
import multipart from "@fastify/multipart";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Logger } from "pino";
import { z } from "zod";
import { type Clock, Fault, shapeWords, toFault } from "#kernel";
import { roomToWrite } from "#proto";
import type { FileRecord } from "../catalog/index.ts";
import type { TenantFiles } from "../files/index.ts";
import { receiveForm } from "./file-form.ts";
import { refusalToHttp } from "./openai-error.ts";
import { invalidField } from "./request-body.ts";

interface Deps {
  readonly files: TenantFiles;
  readonly clock: Clock;
  readonly log: Logger;
}

const LIMIT_MAX = 10_000;

const ListQuery = z.object({
  purpose: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_MAX),
  order: z.enum(["asc", "desc"]).default("desc"),
  after: z.string().optional(),
});

/** `/v1/files`. */
export function addFileRoutes(server: FastifyInstance, deps: Deps): void {
  const { files } = deps;
  // In a scope of its own: forms are for this route only.
  server.register(async (scope) => {
    await scope.register(multipart);
    scope.post("/v1/files", async (request, reply) => {
      if (request.isMultipart()) return fileShape(await receiveForm(files, request));
      const { status, headers, body } = refusalToHttp({ kind: "content_type", message: "a file is sent as multipart/form-data" });
      return reply.status(status).headers(headers).send(body);
    });
  });

  server.get("/v1/files", async (request) => list(files.list(request.principal), request.query));
  server.get<Named>("/v1/files/:id", async (request) => fileShape(files.get(request.principal, request.params.id)));
  server.delete<Named>("/v1/files/:id", async (request) => {
    await files.remove(request.principal, request.params.id);
    return { id: request.params.id, object: "file", deleted: true };
  });
  server.get<Named>("/v1/files/:id/content", async (request, reply) => {
    await sendContent(deps, files.get(request.principal, request.params.id), reply);
    return reply;
  });
}

interface Named {
  Params: { readonly id: string };
}

function list(all: readonly FileRecord[], query: unknown) {
  const read = ListQuery.safeParse(query, { error: shapeWords });
  if (!read.success) throw invalidField(read.error.issues[0]!.path.join("."), read.error.issues[0]!.message);
  const { purpose, limit, order, after } = read.data;
  const wanted = all.filter((file) => purpose === undefined || file.purpose === purpose);
  const ordered = order === "asc" ? wanted : wanted.toReversed();
  const begin = after === undefined ? 0 : ordered.findIndex((file) => file.id === after) + 1;
  if (after !== undefined && begin === 0) throw invalidField("after", `there is no file ${after} in this list`);
  const page = ordered.slice(begin, begin + limit);
  return {
    object: "list",
    data: page.map(fileShape),
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
    has_more: begin + limit < ordered.length,
  };
}

/** OpenAI's `file` object. */
export function fileShape(file: FileRecord) {
  return {
    id: file.id,
    object: "file",
    bytes: file.sizeBytes,
    created_at: Math.floor(file.createdAt / 1000),
    ...(file.expiresAt !== undefined && { expires_at: Math.floor(file.expiresAt / 1000) }),
    filename: file.filename,
    purpose: file.purpose,
    status: "processed",
    status_details: null,
  };
}

/** As fast as the client reads and no faster. Headers go out with the first piece: bytes that are not here are refused with a status. */
async function sendContent({ files, clock, log }: Deps, file: FileRecord, reply: FastifyReply): Promise<void> {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort(new Fault("client_gone", "the client went away")));
  const pieces = files.read(file, gone.signal);
  let next = await pieces.next();
  reply.hijack();
  try {
    reply.raw.writeHead(200, {
      ...(reply.getHeaders() as OutgoingHttpHeaders),
      "content-type": "application/octet-stream",
      "content-length": String(file.sizeBytes),
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(file.filename)}`,
      "openai-processing-ms": String(Math.round(reply.elapsedTime)),
    });
    for (; !next.done; next = await pieces.next()) if (!reply.raw.write(next.value)) await roomToWrite(reply.raw, clock, gone.signal);
    reply.raw.end();
  } catch (error) {
    // Nothing can be said any more: a cut connection tells that it was not the whole.
    reply.raw.destroy();
    if (!gone.signal.aborted) log.error({ file: file.id, err: toFault(error) }, "a file could not be given whole");
  } finally {
    await pieces.return(undefined);
  }
}
