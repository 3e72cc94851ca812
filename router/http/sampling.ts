import { Sampling } from "#proto";
import type { ChatBody } from "./chat-body.ts";
import type { CompletionBody } from "./completion-body.ts";

/** OpenAI's default for `/v1/completions`; for chat it is what the context leaves, bounded by the core. */
const COMPLETION_MAX_TOKENS = 16;
const UINT64 = 1n << 64n;

/** The sampling part of a body in the wire's words. */
function sharedSampling(body: CompletionBody | ChatBody): Partial<Sampling> {
  return {
    temperature: body.temperature,
    topP: body.top_p,
    topK: body.top_k,
    minP: body.min_p,
    // OpenAI's seeds are signed.
    seed: body.seed === undefined ? undefined : ((BigInt(body.seed) + UINT64) % UINT64).toString(),
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    repetitionPenalty: body.repetition_penalty,
    logitBias: Object.fromEntries(Object.entries(body.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias])),
    stop: [...(body.stop ?? [])],
    n: body.n,
    ignoreEos: body.ignore_eos ?? false,
  };
}

export function completionSampling(body: CompletionBody): Sampling {
  const { kept, made } = body.choices;
  // The best are chosen by the log-probabilities of their tokens.
  const logprobs = body.logprobs ?? (made > kept ? 0 : undefined);
  const n = body.best_of ?? body.n;
  return Sampling.fromPartial({ ...sharedSampling(body), n, maxTokens: body.max_tokens ?? COMPLETION_MAX_TOKENS, logprobs });
}

export function chatSampling(body: ChatBody): Sampling {
  const logprobs = body.logprobs ? (body.top_logprobs ?? 0) : undefined;
  return Sampling.fromPartial({ ...sharedSampling(body), maxTokens: body.max_completion_tokens ?? body.max_tokens, logprobs });
}
