import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { S3Bucket, type StoredObject } from "./s3-objects.ts";
import { isSigned } from "./s3-signature.ts";

/** What goes wrong with a request. */
export type Trouble =
  | { readonly kind: "slow_down" }
  | { readonly kind: "status"; readonly status: number; readonly code: string }
  /** The connection is reset before anything is done. */
  | { readonly kind: "reset" }
  /** It is done, and the answer never comes. */
  | { readonly kind: "lost_answer" }
  /** Only so many bytes of the body come: then the connection is reset, the answer ends as if it were whole, or nothing comes any more. */
  | { readonly kind: "cut" | "truncate" | "stall"; readonly afterBytes: number; readonly lingerMs?: number }
  /** One bit of the body is another. */
  | { readonly kind: "wrong_byte"; readonly at: number };

export interface Asked {
  readonly operation: string;
  readonly key: string;
  readonly range: string | undefined;
}

/** An S3-compatible server over HTTP, path style, with one bucket in memory. Signatures and checksums are checked. */
export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly bucketName: string;
  readonly bucket: S3Bucket;
  /** Everything that was asked, in order. */
  readonly asked: Asked[];
  /** Asked before each request; what it gives happens to it. */
  trouble: (asked: Asked) => Trouble | undefined;
}

const BUCKET = "deltaplane-test";
/** Until what was sent has arrived, in most cases; who counts on it says more. */
const LINGER_MS = 5;
/** Small, so that every list has pages. */
const PAGE_KEYS = 2;

export async function startS3Server(): Promise<S3Server> {
  const bucket = new S3Bucket();
  const state = { trouble: (_: Asked): Trouble | undefined => undefined };
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void answer(bucket, asked, (each) => state.trouble(each), request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ bucketName: BUCKET, bucket, asked },
    get trouble() {
      return state.trouble;
    },
    set trouble(trouble) {
      state.trouble = trouble;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  bucket: S3Bucket,
  log: Asked[],
  troubleOf: (asked: Asked) => Trouble | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url!, "http://server");
  const key = decodeURIComponent(url.pathname).slice(`/${BUCKET}/`.length);
  const operation = operationOf(request.method!, url.searchParams, key);
  const asked = { operation, key, range: request.headers.range };
  log.push(asked);
  const trouble = troubleOf(asked);
  if (trouble?.kind === "reset") {
    request.socket.destroy();
    return;
  }
  const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
  if (trouble?.kind === "slow_down") return refuse(response, 503, "SlowDown");
  if (trouble?.kind === "status") return refuse(response, trouble.status, trouble.code);
  if (!url.pathname.startsWith(`/${BUCKET}`)) return refuse(response, 404, "NoSuchBucket");
  if (!(await isSigned(request))) return refuse(response, 403, "SignatureDoesNotMatch");
  if (!isWhole(request, body)) return refuse(response, 400, "BadDigest");
  const reply = OPERATIONS[operation]!(bucket, { key, query: url.searchParams, request, body });
  if (trouble?.kind === "lost_answer") request.socket.destroy();
  else await send(response, reply, trouble);
}

interface Question {
  readonly key: string;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly body: Buffer;
}

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Buffer | string;
}

function operationOf(method: string, query: URLSearchParams, key: string): string {
  if (query.has("uploads")) return method === "POST" ? "create_upload" : "list_uploads";
  if (query.has("uploadId")) return { PUT: "put_part", POST: "complete_upload", DELETE: "abort_upload" }[method] ?? "unknown";
  if (key === "") return "list";
  return { PUT: "put", GET: "get", HEAD: "head", DELETE: "delete" }[method] ?? "unknown";
}

const OPERATIONS: Readonly<Record<string, (bucket: S3Bucket, question: Question) => Reply>> = {
  put: (bucket, { key, request, body }) => ({ status: 200, headers: { etag: bucket.put(key, body, metadataOf(request)).eTag } }),
  get: (bucket, question) => objectReply(bucket.objects.get(question.key), question.request),
  head: (bucket, question) => objectReply(bucket.objects.get(question.key), question.request),
  delete(bucket, { key }) {
    bucket.objects.delete(key);
    return { status: 204 };
  },
  list(bucket, { query }) {
    const all = bucket.keys(query.get("prefix") ?? "");
    const from = all.findIndex((key) => key > (query.get("continuation-token") ?? ""));
    const page = from < 0 ? [] : all.slice(from, from + PAGE_KEYS);
    const more = from >= 0 && from + PAGE_KEYS < all.length;
    const contents = page.map((key) => {
      const { bytes, writtenAt, eTag } = bucket.objects.get(key)!;
      return `<Contents><Key>${key}</Key><Size>${bytes.length}</Size><LastModified>${writtenAt.toISOString()}</LastModified><ETag>${eTag}</ETag></Contents>`;
    });
    const next = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : "";
    return xml(`<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`);
  },
  create_upload: (bucket, { key, request }) =>
    xml(`<InitiateMultipartUploadResult><UploadId>${bucket.begin(key, metadataOf(request))}</UploadId></InitiateMultipartUploadResult>`),
  put_part(bucket, { query, body }) {
    const eTag = bucket.putPart(query.get("uploadId")!, Number(query.get("partNumber")), body);
    return eTag === undefined ? error(404, "NoSuchUpload") : { status: 200, headers: { etag: eTag } };
  },
  complete_upload(bucket, { query, body }) {
    const parts = [...body.toString().matchAll(/<Part>.*?<\/Part>/gs)].map(([part]) => ({
      number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
      eTag: (/<ETag>([^<]*)</.exec(part)?.[1] ?? "").replaceAll("&quot;", '"'),
    }));
    const object = bucket.complete(query.get("uploadId")!, parts);
    if (!object) return error(404, "NoSuchUpload");
    return xml(`<CompleteMultipartUploadResult><ETag>${object.eTag}</ETag></CompleteMultipartUploadResult>`);
  },
  abort_upload: (bucket, { query }) => (bucket.uploads.delete(query.get("uploadId")!) ? { status: 204 } : error(404, "NoSuchUpload")),
  list_uploads(bucket, { query }) {
    const all = [...bucket.uploads]
      .filter(([, { key }]) => key.startsWith(query.get("prefix") ?? ""))
      .sort(([one], [other]) => (one < other ? -1 : 1));
    const page = all.filter(([id]) => id > (query.get("upload-id-marker") ?? "")).slice(0, PAGE_KEYS);
    const last = page.at(-1);
    const more = last !== undefined && last !== all.at(-1);
    const uploads = page.map(
      ([id, { key, begunAt }]) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${begunAt.toISOString()}</Initiated></Upload>`,
    );
    const next = more ? `<NextKeyMarker>${last[1].key}</NextKeyMarker><NextUploadIdMarker>${last[0]}</NextUploadIdMarker>` : "";
    return xml(`<ListMultipartUploadsResult><IsTruncated>${more}</IsTruncated>${next}${uploads.join("")}</ListMultipartUploadsResult>`);
  },
};

function objectReply(object: StoredObject | undefined, request: IncomingMessage): Reply {
  if (!object) return error(404, "NoSuchKey");
  const match = request.headers["if-match"];
  if (match !== undefined && match !== object.eTag) return error(412, "PreconditionFailed");
  const facts = {
    ...{ etag: object.eTag, "last-modified": object.writtenAt.toUTCString(), "accept-ranges": "bytes" },
    ...(object.sha256 !== undefined && { "x-amz-meta-sha256": object.sha256 }),
  };
  const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
  if (start === undefined) return { status: 200, headers: facts, body: object.bytes };
  const from = Number(start);
  if (from >= object.bytes.length) return error(416, "InvalidRange");
  const range = `bytes ${from}-${object.bytes.length - 1}/${object.bytes.length}`;
  return { status: 206, headers: { ...facts, "content-range": range }, body: object.bytes.subarray(from) };
}

/** The bytes are the ones that the sender hashed, by each hash that it gave. */
function isWhole(request: IncomingMessage, body: Buffer): boolean {
  const hash = createHash("sha256").update(body).digest();
  const checksum = request.headers["x-amz-checksum-sha256"];
  const content = request.headers["x-amz-content-sha256"];
  if (checksum !== undefined && checksum !== hash.toString("base64")) return false;
  return content === undefined || content === "UNSIGNED-PAYLOAD" || content === hash.toString("hex");
}

function metadataOf(request: IncomingMessage): string | undefined {
  return request.headers["x-amz-meta-sha256"] as string | undefined;
}

function xml(body: string): Reply {
  return { status: 200, headers: { "content-type": "application/xml" }, body: `<?xml version="1.0" encoding="UTF-8"?>${body}` };
}

function error(status: number, code: string): Reply {
  return { ...xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`), status };
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const { headers, body } = error(status, code);
  response.writeHead(status, headers as Record<string, string>).end(body);
}

async function send(response: ServerResponse, { status, headers = {}, body = "" }: Reply, trouble: Trouble | undefined): Promise<void> {
  const bytes = Buffer.from(body);
  const head = response.req.method === "HEAD";
  const length = trouble?.kind === "truncate" || status === 204 ? {} : { "content-length": bytes.length };
  response.writeHead(status, { ...headers, ...length });
  if (head || !trouble || !("afterBytes" in trouble || trouble.kind === "wrong_byte")) {
    response.end(head ? undefined : bytes);
    return;
  }
  if (trouble.kind === "wrong_byte") {
    bytes[trouble.at]! ^= 1;
    response.end(bytes);
    return;
  }
  const written = new Promise<void>((resolve) => response.write(bytes.subarray(0, trouble.afterBytes), () => resolve()));
  if (trouble.afterBytes > 0) await written;
  else response.flushHeaders();
  if (trouble.kind === "truncate") response.end();
  // What was written has to arrive before the connection goes.
  else if (trouble.kind === "cut") setTimeout(() => response.destroy(), trouble.lingerMs ?? LINGER_MS);
}
