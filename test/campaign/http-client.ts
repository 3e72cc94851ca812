import { type Ask, type Attempt, AttemptRecorder, type FaultTold, LEFT, type Leaving } from "./ask.ts";

const CALL_MS_MAX = 60_000;

interface Chunk {
  /** `cmpl-` and the id under which the request is charged. */
  readonly id?: string;
  readonly error?: { readonly code: string | null; readonly message: string };
  readonly choices?: readonly { readonly text: string; readonly finish_reason: string | null }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  } | null;
}

/** One streamed completion in OpenAI's shape, read as fast as it comes. Never rejects: however it ended is what is recorded. */
export async function askOverHttp(url: string, key: string, ask: Ask, leaving?: Leaving): Promise<Attempt> {
  const recorder = new AttemptRecorder();
  const leave = new AbortController();
  const waitMs = leaving && "afterMs" in leaving ? leaving.afterMs : undefined;
  const timer = waitMs === undefined ? undefined : setTimeout(() => leave.abort(LEFT), waitMs);
  let pieces = 0;
  let done = false;
  try {
    const response = await post(url, key, ask, AbortSignal.any([leave.signal, AbortSignal.timeout(CALL_MS_MAX)]));
    if (!response.ok) return recorder.end("failed", await refusal(response));
    for await (const data of events(response)) {
      if (data === "[DONE]") {
        done = true;
        continue;
      }
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error) return recorder.end("failed", told("stream", chunk.error, undefined));
      if (chunk.id) recorder.request(chunk.id.slice("cmpl-".length));
      for (const { text, finish_reason } of chunk.choices ?? []) {
        recorder.piece({ text, finished: finish_reason !== null });
        if (leaving && "afterPieces" in leaving && ++pieces === leaving.afterPieces) leave.abort(LEFT);
      }
      if (chunk.usage) recorder.usage(usageTold(chunk.usage));
    }
    return done ? recorder.end("completed") : recorder.end("failed", BROKEN);
  } catch {
    return leave.signal.aborted ? recorder.end("cancelled") : recorder.end("failed", BROKEN);
  } finally {
    clearTimeout(timer);
  }
}

/** The connection broke, or was never made: the platform's client tells no more. */
const BROKEN: FaultTold = { code: "connection", reason: "node_lost", message: "the connection broke", waitMs: undefined };

function post(url: string, key: string, ask: Ask, signal: AbortSignal): Promise<Response> {
  const { model, prompt, temperature, seed } = ask;
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    signal,
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      ...(ask.idempotencyKey !== undefined && { "idempotency-key": ask.idempotencyKey }),
    },
    body: JSON.stringify({
      ...{ model, prompt, temperature, seed, max_tokens: ask.maxTokens, stream: true },
      stream_options: { include_usage: true, continuous_usage_stats: true },
      ...(ask.ignoreEos && { ignore_eos: true }),
    }),
  });
}

async function refusal(response: Response): Promise<FaultTold> {
  const waitMs = response.headers.get("retry-after-ms");
  const body = (await response.json()) as Chunk;
  return told(String(response.status), body.error, waitMs === null ? undefined : Number(waitMs));
}

function told(code: string, error: Chunk["error"], waitMs: number | undefined): FaultTold {
  return { code, reason: error?.code ?? "", message: error?.message ?? "", waitMs };
}

/** The data of server-sent events, one line each. */
async function* events(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of response.body!) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) if (part.startsWith("data: ")) yield part.slice("data: ".length);
  }
}

function usageTold(usage: NonNullable<Chunk["usage"]>) {
  return {
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens,
  };
}
