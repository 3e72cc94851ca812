import { Fault } from "#kernel";
import type { Prompt, Sampling } from "#proto";

/**
 * What a request may say, checked before anything is spent on it. Nodes check again what only they can know: the
 * vocabulary, the context, the chat template.
 */

/** As OpenAI's; the search for them is a pass over each new piece of text. */
const STOP_STRINGS_MAX = 4;
const STOP_CHARACTERS_MAX = 256;
const LOGIT_BIAS_ENTRIES_MAX = 300;
/** Longer conversations are longer than any context; the template is rendered over all of them. */
const CHAT_MESSAGES_MAX = 2048;
/** Roles are words of the template: `user`, `assistant`, … */
const ROLE_CHARACTERS_MAX = 64;
/** A model's name is a base, a tenant, a suffix and an id, or less. */
const MODEL_CHARACTERS_MAX = 256;
const TOP_LOGPROBS_MAX = 20;
const SEED_MAX = 2n ** 64n - 1n;

interface Range {
  readonly field: string;
  readonly min: number;
  readonly max: number;
  /** Whether `min` itself is refused. */
  readonly above?: boolean;
  readonly integer?: boolean;
}

/** 2^32 - 1: what the wire's uint32 can say. */
const UINT32_MAX = 0xffff_ffff;
/** As on the node: no context is longer. */
const TOKENS_MAX = 2 ** 31 - 1;

const RANGES: Readonly<Partial<Record<keyof Sampling, Range>>> = {
  maxTokens: { field: "max_tokens", min: 1, max: TOKENS_MAX, integer: true },
  temperature: { field: "temperature", min: 0, max: 2 },
  topP: { field: "top_p", min: 0, max: 1, above: true },
  topK: { field: "top_k", min: 0, max: UINT32_MAX, integer: true },
  minP: { field: "min_p", min: 0, max: 1 },
  presencePenalty: { field: "presence_penalty", min: -2, max: 2 },
  frequencyPenalty: { field: "frequency_penalty", min: -2, max: 2 },
  repetitionPenalty: { field: "repetition_penalty", min: 0, max: 2, above: true },
  logprobs: { field: "logprobs", min: 0, max: TOP_LOGPROBS_MAX, integer: true },
  n: { field: "n", min: 1, max: 16, integer: true },
};

/** @throws Fault parameter_invalid, naming the field as the wire spells it */
export function checkSampling(sampling: Sampling): void {
  for (const [name, range] of Object.entries(RANGES)) checkRange(sampling[name as keyof Sampling] as number | undefined, range);
  checkSeed(sampling.seed);
  const biases = Object.entries(sampling.logitBias);
  if (biases.length > LOGIT_BIAS_ENTRIES_MAX)
    throw invalid("logit_bias", `has ${biases.length} entries, more than ${LOGIT_BIAS_ENTRIES_MAX}`);
  for (const [token, bias] of biases) {
    checkRange(Number(token), { field: "logit_bias", min: 0, max: UINT32_MAX, integer: true });
    checkRange(bias, { field: `logit_bias[${token}]`, min: -100, max: 100 });
  }
  if (sampling.stop.length > STOP_STRINGS_MAX) throw invalid("stop", `has ${sampling.stop.length} strings, more than ${STOP_STRINGS_MAX}`);
  for (const [index, stop] of sampling.stop.entries()) checkStop(stop, `stop[${index}]`);
}

/** @throws Fault prompt_malformed or parameter_invalid, naming the field */
export function checkPrompt(prompt: Prompt | undefined): asserts prompt is Prompt & { kind: object } {
  const kind = prompt?.kind;
  if (!kind) throw invalid("prompt", "is missing: set text, chat or tokens");
  switch (kind.$case) {
    case "text":
      if (kind.value === "") throw malformed("prompt.text", "is empty");
      if (!kind.value.isWellFormed()) throw malformed("prompt.text", "is no valid Unicode text");
      return;
    case "tokens":
      if (kind.value.ids.length === 0) throw malformed("prompt.tokens", "is empty");
      for (const [index, id] of kind.value.ids.entries())
        if (!(Number.isInteger(id) && id >= 0 && id <= UINT32_MAX)) throw malformed(`prompt.tokens[${index}]`, "is no token id");
      return;
    case "start":
      return;
    case "chat":
      checkChat(kind.value.messages);
  }
}

/** @throws Fault parameter_invalid for what can't be a model's name at all */
export function checkModel(model: string): void {
  if (model === "") throw invalid("model", "is missing");
  if (model.length > MODEL_CHARACTERS_MAX) throw invalid("model", `is longer than ${MODEL_CHARACTERS_MAX} characters`);
}

/** Of ScoreRequest. */
export function checkTopLogprobs(count: number): void {
  checkRange(count, RANGES.logprobs!);
}

function checkChat(messages: readonly { readonly role: string; readonly content: string }[]): void {
  if (messages.length === 0) throw malformed("prompt.chat", "has no messages");
  if (messages.length > CHAT_MESSAGES_MAX) throw invalid("prompt.chat", `has more than ${CHAT_MESSAGES_MAX} messages`);
  for (const [index, { role, content }] of messages.entries()) {
    const field = `prompt.chat.messages[${index}]`;
    if (role === "" || role.length > ROLE_CHARACTERS_MAX)
      throw invalid(`${field}.role`, `must have 1 to ${ROLE_CHARACTERS_MAX} characters`);
    if (!role.isWellFormed() || !content.isWellFormed()) throw malformed(field, "is no valid Unicode text");
  }
}

function checkRange(value: number | undefined, { field, min, max, above, integer }: Range): void {
  if (value === undefined) return;
  const bounds = `${above ? "above" : "at least"} ${min} and at most ${max}`;
  // Comparisons with NaN are false, so it is refused like every number outside.
  if (!((above ? value > min : value >= min) && value <= max)) throw invalid(field, `is ${value}; it must be ${bounds}`);
  if (integer && !Number.isInteger(value)) throw invalid(field, `is ${value}; it must be a whole number`);
}

function checkSeed(seed: string | undefined): void {
  if (seed === undefined) return;
  if (!/^\d{1,20}$/.test(seed) || BigInt(seed) > SEED_MAX) throw invalid("seed", `must be a whole number from 0 to ${SEED_MAX}`);
}

function checkStop(stop: string, field: string): void {
  if (stop === "") throw invalid(field, "is empty");
  if (stop.length > STOP_CHARACTERS_MAX) throw invalid(field, `is longer than ${STOP_CHARACTERS_MAX} characters`);
  if (!stop.isWellFormed()) throw invalid(field, "is no valid Unicode text");
}

function invalid(field: string, what: string): Fault {
  return new Fault("parameter_invalid", `${field} ${what}`, { detail: { field } });
}

function malformed(field: string, what: string): Fault {
  return new Fault("prompt_malformed", `${field} ${what}`, { detail: { field } });
}
