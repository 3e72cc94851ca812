import { FinishReason, type GenerateResponse, type TokenLogprob, type Usage } from "#proto";

/** OpenAI's objects, built from the core's pieces. `created` is in seconds. */

export interface Heading {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

const FINISH: Readonly<Record<number, "stop" | "length">> = {
  [FinishReason.FINISH_REASON_STOP]: "stop",
  [FinishReason.FINISH_REASON_LENGTH]: "length",
};

export function finishOf(piece: GenerateResponse): "stop" | "length" | null {
  return FINISH[piece.finishReason] ?? null;
}

export function usageOf(usage: Usage | undefined) {
  const { promptTokens, cachedTokens, completionTokens } = usage ?? { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** `/v1/completions`: parallel arrays; `offset` is the length of the choice's text before the first of the tokens. */
export function completionLogprobs(tokens: readonly TokenLogprob[], offset: number) {
  let at = offset;
  const offsets = tokens.map((token) => {
    const start = at;
    at += token.text.length;
    return start;
  });
  return {
    tokens: tokens.map((token) => token.text),
    token_logprobs: tokens.map((token) => token.logprob),
    top_logprobs: tokens.map((token) => Object.fromEntries(token.top.map((alternative) => [alternative.text, alternative.logprob]))),
    text_offset: offsets,
  };
}

/** `/v1/chat/completions`: one object per token. */
export function chatLogprobs(tokens: readonly TokenLogprob[]) {
  const entry = (token: { text: string; raw: Uint8Array; logprob: number }) => ({
    token: token.text,
    logprob: token.logprob,
    bytes: [...token.raw],
  });
  return { content: tokens.map((token) => ({ ...entry(token), top_logprobs: token.top.map(entry) })), refusal: null };
}
