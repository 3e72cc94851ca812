import { assert, type Tokens } from "#kernel";
import type { BaseInfo } from "#model";

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
  /** Prompt tokens in one step of a row whose prompt's log-probabilities are wanted: their logits are all kept at once. */
  readonly scoredChunkTokensMax: Tokens;
  /** The most of the cache that may keep what ended texts have computed, for others that begin alike; 0 to 1. Rows come first. */
  readonly prefixShare: number;
}

/**
 * What two cores compute in about a tenth of a second at a prefill's rate (2 FLOP per parameter and token, about
 * 160 GFLOP/s): the longest that a running row should wait for someone else's prompt.
 */
const STEP_PARAMETER_TOKENS = 2 ** 33;

/** Fewer than this and the products no longer fill the machine's vectors; more than this gains nothing. */
const PREFILL_TOKENS_LEAST = 64;
const PREFILL_TOKENS_MOST = 512;

/** Limits that suit `base`, with those of `chosen` in their place. */
export function engineOptions(base: BaseInfo, chosen: Partial<EngineOptions> = {}): EngineOptions {
  const affordable = PREFILL_TOKENS_LEAST * Math.floor(STEP_PARAMETER_TOKENS / base.parameterCount / PREFILL_TOKENS_LEAST);
  const options: EngineOptions = {
    queueDepthMax: 256, // At 16 rows and a second per text: 16 s of waiting, about as long as a client has patience.
    attachesWaitingMax: 64, // Each holds a whole delta in memory.
    undeliveredEventsMax: 32, // A second of text at reading speed; the row is then better used by pausing.
    prefillTokensMax: Math.min(PREFILL_TOKENS_MOST, Math.max(PREFILL_TOKENS_LEAST, affordable)),
    chunkTokensMin: 32, // Below that, reading the weights costs more than the products.
    scoredChunkTokensMax: 32, // 6 MiB of logits for a vocabulary of 50,257.
    prefixShare: 0.5, // The other half spares most rows evicting first, and lets their blocks lie together.
    ...chosen,
  };
  const { prefixShare, ...counts } = options;
  assert(prefixShare >= 0 && prefixShare <= 1, `engine option prefixShare must be from 0 to 1, not ${prefixShare}`);
  for (const [name, value] of Object.entries(counts)) {
    assert(Number.isSafeInteger(value) && value > 0, `engine option ${name} must be a positive integer, not ${value}`);
  }
  return options;
}
