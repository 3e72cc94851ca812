import { assert, type Tokens } from "#kernel";
import type { BaseInfo } from "#model";
import type { Compute } from "./compute.ts";

/** The engine's limits; the runner has its own. Plain data: it also crosses to the engine's process. */
export interface EngineOptions {
  /** Sequences that wait for a row; one more is refused with queue_full. */
  readonly queueDepthMax: number;
  /** Attaches that wait for their turn between two steps; one more is refused. */
  readonly attachesWaitingMax: number;
  /** A sequence with so many events that nobody has read pauses until its consumer goes on. */
  readonly undeliveredEventsMax: number;
  /** Prefill tokens in one step, beside the rows that decode. */
  readonly prefillTokensMax: Tokens;
  /** The least of a prompt that is worth a step of its own. */
  readonly chunkTokensMin: Tokens;
  /** Of others' prompts, from one token of a row that yields to its next; see planStep. */
  readonly yieldTokensMax: Tokens;
  /** Prompt tokens in one step of a row whose prompt's log-probabilities are wanted: their logits are all kept at once. */
  readonly scoredChunkTokensMax: Tokens;
  /** The most of the cache that may keep what ended texts have computed, for others that begin alike; 0 to 1. Rows come first. */
  readonly prefixShare: number;
  /** The most tokens that a row may try in a step beyond its next one; 0 is off. See docs/speculation.md. */
  readonly draftTokensMax: Tokens;
  /** Of all decoding rows in one step, with what they try: as many as a step computes for little more than one. */
  readonly decodeTokensMax: Tokens;
}

/**
 * What two cores compute in about a tenth of a second at a prefill's rate (2 FLOP per parameter and token, about
 * 160 GFLOP/s): the longest that a running row should wait for someone else's prompt.
 */
const STEP_PARAMETER_TOKENS = 2 ** 33;

/** Fewer than this and the products no longer fill the machine's vectors; more than this gains nothing. */
const PREFILL_TOKENS_LEAST = 64;
const PREFILL_TOKENS_MOST = 512;

/** With the token that comes anyway, all that a step may have; fewer are tried unless they are nearly always right. */
export const DRAFT_TOKENS_MAX: Tokens = 7;

/**
 * How much a row may try where nobody says: nothing where activations are kept in 8 bits. There the last digits, which differ with the
 * number of tokens that are computed at once, now and then move a value by a whole step, and a text takes another turn.
 */
export function draftTokensFor({ weights }: Compute): Tokens {
  return weights === "float32" ? DRAFT_TOKENS_MAX : 0;
}

/** Limits that suit `base`, with those of `chosen` in their place. */
export function engineOptions(base: BaseInfo, chosen: Partial<EngineOptions> = {}): EngineOptions {
  const affordable = PREFILL_TOKENS_LEAST * Math.floor(STEP_PARAMETER_TOKENS / base.parameterCount / PREFILL_TOKENS_LEAST);
  const longestStep = Math.min(PREFILL_TOKENS_MOST, Math.max(PREFILL_TOKENS_LEAST, affordable));
  const options: EngineOptions = {
    queueDepthMax: 256, // At 16 rows and a second per text: 16 s of waiting, about as long as a client has patience.
    attachesWaitingMax: 64, // Each holds a whole delta in memory.
    undeliveredEventsMax: 32, // A second of text at reading speed; the row is then better used by pausing.
    prefillTokensMax: longestStep,
    chunkTokensMin: 32, // Below that, reading the weights costs more than the products.
    yieldTokensMax: longestStep, // What a row may wait for in one step it may wait for in several shorter ones.
    scoredChunkTokensMax: 32, // 6 MiB of logits for a vocabulary of 50,257.
    draftTokensMax: 0, // Whoever knows what the runner computes in says more; see draftTokensFor.
    decodeTokensMax: 8, // A step of eight takes a quarter to a half longer than one of one: what is not there by then is not worth it.
    prefixShare: 0.5, // The other half spares most rows evicting first, and lets their blocks lie together.
    ...chosen,
  };
  const { prefixShare, draftTokensMax, ...counts } = options;
  assert(prefixShare >= 0 && prefixShare <= 1, `engine option prefixShare must be from 0 to 1, not ${prefixShare}`);
  assert(
    Number.isSafeInteger(draftTokensMax) && draftTokensMax >= 0,
    `engine option draftTokensMax must be 0 or more, not ${draftTokensMax}`,
  );
  for (const [name, value] of Object.entries(counts)) {
    assert(Number.isSafeInteger(value) && value > 0, `engine option ${name} must be a positive integer, not ${value}`);
  }
  return options;
}
