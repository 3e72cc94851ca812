import { Fault, mix64, type Random, type Tokens } from "#kernel";
import type { BaseInfo } from "#model";
import type { Sampling as WireSampling } from "#proto";
import type { Sampling } from "../engine/index.ts";
import type { GenerationDefaults } from "./generation-defaults.ts";

/** How all choices of one request are made: every default applied, every range checked. */
export interface SamplingPlan {
  readonly choices: number;
  /** Of one choice, counted from the end of the prompt. */
  readonly maxTokens: Tokens;
  readonly stops: readonly string[];
  readonly stopTokenIds: ReadonlySet<number>;
  /** Each choice has a seed of its own; the first has the request's. */
  samplingOf(choice: number): Sampling;
}

/** When a request does not say; long enough for an answer, short enough to forget. */
const MAX_TOKENS_DEFAULT: Tokens = 256;
const STOPS_MAX = 4;
const STOP_CHARACTERS_MAX = 256;
const LOGIT_BIASES_MAX = 300;
const CHOICES_MAX = 16;
export const TOP_LOGPROBS_MAX = 20;

interface Range {
  readonly min: number;
  readonly max: number;
  /** Whether `min` itself is outside. */
  readonly above?: boolean;
  readonly integer?: boolean;
}

const RANGES = {
  temperature: { min: 0, max: 2 },
  top_p: { min: 0, max: 1, above: true },
  top_k: { min: 0, max: 2 ** 31 - 1, integer: true },
  min_p: { min: 0, max: 1 },
  presence_penalty: { min: -2, max: 2 },
  frequency_penalty: { min: -2, max: 2 },
  repetition_penalty: { min: 0, max: 2, above: true },
  max_tokens: { min: 1, max: 2 ** 31 - 1, integer: true },
  logprobs: { min: 0, max: TOP_LOGPROBS_MAX, integer: true },
  n: { min: 1, max: CHOICES_MAX, integer: true },
} as const satisfies Record<string, Range>;

/**
 * Checks a request's sampling and completes it from the base's defaults.
 *
 * @throws Fault parameter_invalid that names the field; context_too_long when the prompt and the tokens asked for do not fit.
 */
export function planSampling(
  wire: WireSampling | undefined,
  base: BaseInfo,
  defaults: GenerationDefaults,
  promptTokens: Tokens,
  random: Random,
): SamplingPlan {
  const seed = wire?.seed === undefined ? random.bits() : parseSeed(wire.seed);
  const common: Omit<Sampling, "seed"> = {
    temperature: inRange("temperature", wire?.temperature) ?? defaults.temperature ?? 1,
    topK: inRange("top_k", wire?.topK) ?? defaults.topK ?? 0,
    topP: inRange("top_p", wire?.topP) ?? defaults.topP ?? 1,
    minP: inRange("min_p", wire?.minP) ?? defaults.minP ?? 0,
    repetitionPenalty: inRange("repetition_penalty", wire?.repetitionPenalty) ?? defaults.repetitionPenalty ?? 1,
    presencePenalty: inRange("presence_penalty", wire?.presencePenalty) ?? 0,
    frequencyPenalty: inRange("frequency_penalty", wire?.frequencyPenalty) ?? 0,
    logitBias: logitBias(wire?.logitBias ?? {}, base),
    topLogprobs: inRange("logprobs", wire?.logprobs),
  };
  return {
    choices: inRange("n", wire?.n) ?? 1,
    maxTokens: maxTokens(inRange("max_tokens", wire?.maxTokens), promptTokens, base),
    stops: stops(wire?.stop ?? []),
    stopTokenIds: new Set(wire?.ignoreEos ? [] : base.eosTokenIds),
    samplingOf: (choice) => ({ ...common, seed: choiceSeed(seed, choice) }),
  };
}

function choiceSeed(seed: bigint, choice: number): bigint {
  return choice === 0 ? seed : mix64(seed ^ mix64(BigInt(choice)));
}

function maxTokens(asked: number | undefined, promptTokens: Tokens, base: BaseInfo): Tokens {
  const left = base.contextTokensMax - promptTokens;
  if (left < 1 || (asked !== undefined && asked > left)) {
    const wish = asked === undefined ? "at least one token" : `${asked} tokens`;
    const message = `the prompt has ${promptTokens} tokens; with ${wish} more it does not fit the context of ${base.contextTokensMax}`;
    throw new Fault("context_too_long", message, { detail: { field: left < 1 ? "prompt" : "max_tokens" } });
  }
  return asked ?? Math.min(MAX_TOKENS_DEFAULT, left);
}

function inRange(field: keyof typeof RANGES, value: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  const { min, max, above, integer }: Range = RANGES[field];
  const inside = value <= max && (above ? value > min : value >= min) && (!integer || Number.isInteger(value));
  if (!inside) throw invalid(field, `${value} is not ${above ? "above" : "from"} ${min} ${above ? "and up" : ""}to ${max}`);
  return value;
}

function stops(texts: readonly string[]): readonly string[] {
  if (texts.length > STOPS_MAX) throw invalid("stop", `${texts.length} stop strings; at most ${STOPS_MAX} are taken`);
  for (const [index, text] of texts.entries()) {
    const characters = [...text].length;
    if (characters < 1 || characters > STOP_CHARACTERS_MAX)
      throw invalid(`stop[${index}]`, `has ${characters} characters; 1 to ${STOP_CHARACTERS_MAX} are taken`);
  }
  return texts;
}

function logitBias(wire: Readonly<Record<number, number>>, base: BaseInfo): ReadonlyMap<number, number> {
  const biases = new Map(Object.entries(wire).map(([tokenId, bias]) => [Number(tokenId), bias]));
  if (biases.size > LOGIT_BIASES_MAX) throw invalid("logit_bias", `${biases.size} entries; at most ${LOGIT_BIASES_MAX} are taken`);
  for (const [tokenId, bias] of biases) {
    if (tokenId >= base.vocabularySize) throw invalid(`logit_bias[${tokenId}]`, "is no token of this base");
    if (!(bias >= -100 && bias <= 100)) throw invalid(`logit_bias[${tokenId}]`, `${bias} is not from -100 to 100`);
  }
  return biases;
}

function parseSeed(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) throw invalid("seed", "is no unsigned 64-bit integer");
  return BigInt.asUintN(64, BigInt(text));
}

function invalid(field: string, why: string): Fault {
  return new Fault("parameter_invalid", `${field}: ${why}`, { detail: { field } });
}
