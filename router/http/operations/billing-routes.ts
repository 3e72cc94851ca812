import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { type Bytes, Fault, KIB } from "#kernel";
import { dayOf, EXPORTERS, type Exporter, readInvoice } from "../../billing/index.ts";
import { tenantFor, tenantOrAll } from "../../keys/index.ts";
import { invalidField } from "../request-body.ts";
import { exportQuery, usageQuery } from "./billing-query.ts";
import { invoiceShape, usageShape } from "./billing-shape.ts";
import type { OperationDeps } from "./operation-deps.ts";
import { parsed, tenantId } from "./query.ts";

/** A row is about 250 bytes of JSON; a page that shows more of them shows nothing. */
const USAGE_ROWS_MAX = 10_000;
/** Each reads books as fast as its client takes it, and holds a day of one tenant in memory. */
const EXPORTS_MAX = 4;
/** Pieces of an export are put together up to so much. */
const PIECE_BYTES: Bytes = 64 * KIB;

const TYPES: Readonly<Record<keyof typeof EXPORTERS, readonly [type: string, extension: string]>> = {
  csv: ["text/csv; charset=utf-8", "csv"],
  focus: ["text/csv; charset=utf-8", "csv"],
  cloudevents: ["application/x-ndjson; charset=utf-8", "jsonl"],
  stripe: ["application/x-ndjson; charset=utf-8", "jsonl"],
  lago: ["application/x-ndjson; charset=utf-8", "jsonl"],
};
const Whose = z.object({ tenant_id: tenantId });

/** `/v1/usage`, `/v1/invoices/{month}`, `/v1/exports/{format}`: a tenant's own; of an operator, whose it names, or all together. */
export function addBillingRoutes(server: FastifyInstance, deps: OperationDeps): void {
  const { ledger, prices, journal, clock, catalog } = deps;

  server.get("/v1/usage", async ({ principal, query }) => {
    const { by, named, since, until } = usageQuery(query, clock.now());
    const whose = tenantOrAll(catalog.view, principal, named);
    const rows = await ledger.usage({ by, since, until, ...(whose !== undefined && { tenantId: whose }) });
    if (rows.length > USAGE_ROWS_MAX)
      throw invalidField("by", `makes ${rows.length} rows, more than ${USAGE_ROWS_MAX}: ask for a shorter time or fewer dimensions`);
    return { object: "list", since_ms: since, until_ms: until, by, data: rows.map((row) => usageShape(by, row)) };
  });

  server.get<{ Params: { readonly month: string } }>("/v1/invoices/:month", async ({ principal, params, query }) => {
    const whose = tenantFor(catalog.view, principal, parsed(Whose, query).tenant_id);
    return invoiceShape(await readInvoice({ ledger, journal, prices }, { tenantId: whose, month: params.month, now: clock.now() }));
  });

  let running = 0;
  server.get<{ Params: { readonly format: string } }>("/v1/exports/:format", async ({ principal, params, query }, reply) => {
    const format = formatNamed(params.format);
    const { named, since, until } = exportQuery(query, clock.now());
    const whose = tenantOrAll(catalog.view, principal, named);
    if (running >= EXPORTS_MAX) throw new Fault("queue_full", `${EXPORTS_MAX} exports are being written already`);
    running++;
    reply.raw.once("close", () => running--);
    const tenantIds = whose === undefined ? await ledger.tenants() : [whose];
    const exporter: Exporter = EXPORTERS[format];
    const name = `${whose ?? "all"}-${dayOf(since)}-${dayOf(until)}-${format}`;
    return sendFile(reply, TYPES[format], name, exporter({ ledger, prices, tenantIds, since, until }));
  });
}

function formatNamed(name: string): keyof typeof EXPORTERS {
  if (Object.hasOwn(EXPORTERS, name)) return name as keyof typeof EXPORTERS;
  throw invalidField("format", `is none of ${Object.keys(EXPORTERS).join(", ")}`);
}

/** What fails before the first piece is refused with a status, what fails later cuts the connection. */
async function sendFile(reply: FastifyReply, [type, extension]: readonly [string, string], name: string, texts: AsyncIterable<string>) {
  const pieces = together(texts);
  const first = await pieces.next();
  const all = (async function* () {
    if (!first.done) yield first.value;
    yield* pieces;
  })();
  reply.header("content-type", type).header("content-disposition", `attachment; filename="${name}.${extension}"`);
  return reply.send(Readable.from(all, { objectMode: false }));
}

async function* together(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = "";
  for await (const text of texts) {
    piece += text;
    if (piece.length < PIECE_BYTES) continue;
    yield piece;
    piece = "";
  }
  if (piece !== "") yield piece;
}
