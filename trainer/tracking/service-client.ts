import { type Bytes, type Clock, deadlineSignal, Fault, MIB, MINUTE, type Millis, type Retry, SECOND } from "#kernel";
import type { JsonFields } from "./contract.ts";

export interface ServiceDeps {
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
}

/** Somebody else's service, over HTTP. */
export interface ServiceClient {
  /** Sends JSON and reads a JSON object. @throws Fault tracker_unreachable (try again), tracker_refused (do not) */
  call(method: "GET" | "POST", path: string, body: JsonFields | undefined, signal: AbortSignal): Promise<JsonFields>;
  /** Puts bytes at a signed address, which gets none of our credentials. @throws Fault likewise */
  upload(url: string, headers: Readonly<Record<string, string>>, content: Blob, signal: AbortSignal): Promise<void>;
}

export interface ServiceOptions {
  /** For messages. */
  readonly name: string;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** As W&B's own client waits for its server. */
const CALL_MS_MAX: Millis = 3 * MINUTE;
/** Two gigabytes at a megabyte a second. */
const UPLOAD_MS_MAX: Millis = 35 * MINUTE;
/** Answers hold one run, never a list of them. */
const ANSWER_BYTES_MAX: Bytes = 16 * MIB;
/** What a message quotes of an answer. */
const QUOTE_LENGTH_MAX = 300;

/** Client errors that another attempt may change: timeout, conflict with our own other call, too early, too many. */
const PASSING_STATUS = new Set([408, 409, 425, 429]);

export function createServiceClient(deps: ServiceDeps, options: ServiceOptions): ServiceClient {
  const { name, baseUrl, headers } = options;

  async function request(url: string, init: RequestInit, waitMs: Millis, signal: AbortSignal): Promise<string> {
    const late = () => new Fault("tracker_unreachable", `${name} did not answer within ${waitMs / SECOND} s`);
    using deadline = deadlineSignal(deps.clock, waitMs, late, signal);
    try {
      const response = await deps.fetch(url, { ...init, redirect: "error", signal: deadline.signal });
      const text = await readText(response);
      if (response.ok) return text;
      throw statusFault(name, response, text, deps.clock);
    } catch (error) {
      if (error instanceof Fault) throw error;
      signal.throwIfAborted();
      throw new Fault("tracker_unreachable", `${name} cannot be reached at ${new URL(url).origin}: ${networkMessage(error)}`, {
        cause: error,
      });
    }
  }

  return {
    async call(method, path, body, signal) {
      const json = body === undefined ? {} : { body: JSON.stringify(body) };
      const init = { method, headers: { ...headers, "content-type": "application/json" }, ...json };
      return parseObject(name, await request(`${baseUrl}${path}`, init, CALL_MS_MAX, signal));
    },
    async upload(url, uploadHeaders, content, signal) {
      await request(new URL(url, baseUrl).href, { method: "PUT", headers: uploadHeaders, body: content }, UPLOAD_MS_MAX, signal);
    },
  };
}

function statusFault(name: string, response: Response, text: string, clock: Clock): Fault {
  const { status } = response;
  const message = `${name} answered ${status}: ${text.slice(0, QUOTE_LENGTH_MAX)}`;
  const passing = PASSING_STATUS.has(status) || (status >= 500 && status !== 501);
  if (!passing) return new Fault("tracker_refused", message);
  const retry = retryAfter(response.headers.get("retry-after"), clock);
  return new Fault("tracker_unreachable", message, retry === undefined ? {} : { retry });
}

/** Seconds or a date. */
function retryAfter(header: string | null, clock: Clock): Retry | undefined {
  if (header === null) return undefined;
  const waitMs = /^\d+(\.\d+)?$/.test(header) ? Number(header) * SECOND : Date.parse(header) - clock.now();
  return Number.isFinite(waitMs) ? { kind: "after", waitMs: Math.max(0, waitMs) } : undefined;
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > ANSWER_BYTES_MAX) throw new Fault("tracker_refused", `an answer has more than ${ANSWER_BYTES_MAX / MIB} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseObject(name: string, text: string): JsonFields {
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonFields;
  } catch {
    // Falls through to the same answer: a proxy's error page, most likely.
  }
  throw new Fault("tracker_unreachable", `${name} answered no JSON object: ${text.slice(0, QUOTE_LENGTH_MAX)}`);
}

/** `fetch failed` hides what failed in its cause. */
function networkMessage(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
