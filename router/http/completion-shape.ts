import { FinishReason, type GenerateResponse, type TokenLogprob, type Usage } from "#proto";

/** OpenAI's objects, built from the core's pieces. */

export interface Heading {
  readonly id: string;
  /** Seconds. */
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint?: string;
}

export type Finish = "stop" | "length" | null;

const FINISH: Readonly<Record<number, "stop" | "length">> = {
  [FinishReason.FINISH_REASON_STOP]: "stop",
  [FinishReason.FINISH_REASON_LENGTH]: "length",
};

export function finishOf(piece: GenerateResponse): Finish {
  return FINISH[piece.finishReason] ?? null;
}

export function usageOf({ promptTokens, cachedTokens, completionTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** OpenAI's word for "as good as impossible"; JSON has none for minus infinity. */
const LOGPROB_MIN = -9999;

function bounded(logprob: number): number {
  return Math.max(logprob, LOGPROB_MIN);
}

/** `/v1/completions`: parallel arrays. The first token of a prompt has no log-probability. */
export function completionLogprobs(tokens: readonly TokenLogprob[], offsets: readonly number[], startsPrompt = false) {
  const known = (index: number) => !(startsPrompt && index === 0);
  return {
    tokens: tokens.map((token) => token.text),
    token_logprobs: tokens.map((token, index) => (known(index) ? bounded(token.logprob) : null)),
    top_logprobs: tokens.map((token, index) => (known(index) ? alternatives(token) : null)),
    text_offset: [...offsets],
  };
}

/** With the token itself, whether or not it is among the likeliest. */
function alternatives(token: TokenLogprob): Record<string, number> {
  return Object.fromEntries([...token.top, token].map((each) => [spelling(each), bounded(each.logprob)]));
}

/** Parts of characters all look alike as text, so they are told by their bytes, as OpenAI does. */
function spelling({ text, raw }: { readonly text: string; readonly raw: Uint8Array }): string {
  if (!text.includes("\ufffd")) return text;
  return `bytes:${[...raw].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
}

/** `/v1/chat/completions`: one object per token. */
export function chatLogprobs(tokens: readonly TokenLogprob[]) {
  const entry = (token: { text: string; raw: Uint8Array; logprob: number }) => ({
    token: token.text,
    logprob: bounded(token.logprob),
    bytes: [...token.raw],
  });
  return { content: tokens.map((token) => ({ ...entry(token), top_logprobs: token.top.map(entry) })), refusal: null };
}
