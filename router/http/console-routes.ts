import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Fault, sha256Hex } from "#kernel";

/**
 * The page may run its own scripts and styles, ask its own origin, and nothing else: a text that slips into markup is dead.
 * Inline ones are refused, and so is every way to make markup from text (trusted types).
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const SAFE_HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
};

/** Their names hold a hash of what is in them. */
const FOREVER = "public, max-age=31536000, immutable";
/** Asked for each time, answered with a header while it is the same. */
const ALWAYS_ASKED = "no-cache";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

const ENCODINGS = ["br", "gzip"] as const;
type Encoding = (typeof ENCODINGS)[number];

const COMPRESS: Readonly<Record<Encoding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: (bytes) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } }),
  gzip: (bytes) => promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION }),
};

interface ConsoleFile {
  readonly type: string;
  readonly tag: string;
  readonly bytes: Buffer;
  /** Made when it is first asked for, and kept: it is some hundred kilobytes in all. */
  readonly compressed: Map<Encoding, Promise<Buffer>>;
}

/** The built page, in memory: a request never touches the disk, and no path leads anywhere else. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

/** @throws Fault file_missing when there is no built page, file_malformed for a file of a kind that it does not have */
export async function readConsole(directory: string): Promise<ConsoleFiles> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new Fault("file_missing", `there is no built console in ${directory}`, { detail: { file: directory }, cause });
  });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(await Promise.all(files.map(async (file) => [file.slice(directory.length), await readConsoleFile(file)] as const)));
}

async function readConsoleFile(file: string): Promise<ConsoleFile> {
  const type = TYPES[file.slice(file.lastIndexOf(".") + 1)];
  if (type === undefined) throw new Fault("file_malformed", `${file} is of no kind that the console has`, { detail: { file } });
  const bytes = await readFile(file);
  return { type, bytes, tag: `"${sha256Hex(bytes).slice(0, 32)}"`, compressed: new Map() };
}

/** `/` and what it loads. Without a console there is nothing at these paths. */
export function addConsoleRoutes(server: FastifyInstance, files: ConsoleFiles | undefined): void {
  server.get("/", (request, reply) => sendFile(files?.get("/index.html"), ALWAYS_ASKED, request, reply));
  server.get<{ Params: { readonly name: string } }>("/assets/:name", (request, reply) =>
    sendFile(files?.get(`/assets/${request.params.name}`), FOREVER, request, reply),
  );
}

async function sendFile(
  file: ConsoleFile | undefined,
  caching: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (!file) throw new Fault("resource_unknown", `there is nothing at ${request.url.split("?")[0]}`);
  reply.headers({ ...SAFE_HEADERS, etag: file.tag, "cache-control": caching, vary: "accept-encoding" });
  if (request.headers["if-none-match"] === file.tag) return reply.status(304).send();
  const encoding = encodingFor(String(request.headers["accept-encoding"] ?? ""));
  reply.type(file.type);
  if (!encoding) return reply.send(file.bytes);
  return reply.header("content-encoding", encoding).send(await compressed(file, encoding));
}

function compressed(file: ConsoleFile, encoding: Encoding): Promise<Buffer> {
  const known = file.compressed.get(encoding) ?? COMPRESS[encoding](file.bytes);
  file.compressed.set(encoding, known);
  return known;
}

/** The first of ours that the client takes; one that it refuses has a weight of 0. */
function encodingFor(accepted: string): Encoding | undefined {
  const named = accepted.split(",").map((part) => part.trim().toLowerCase());
  return ENCODINGS.find((encoding) => named.some((part) => new RegExp(`^${encoding}\\s*(;(?!\\s*q=0(\\.0*)?$)|$)`).test(part)));
}
