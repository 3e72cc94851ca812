import type { Tokens } from "#kernel";
import type { Prompt, Sampling } from "#proto";

/** What the wire says when nothing is asked for: see `Sampling.max_tokens`. */
const MAX_TOKENS_DEFAULT: Tokens = 256;
/** Of usual text in usual vocabularies; good enough to compare requests, never to bill them. */
const CHARACTERS_PER_TOKEN = 4;

/** How large a request will be, for the scheduler. */
export interface RequestSize {
  readonly promptTokensEstimate: Tokens;
  readonly maxTokens: Tokens;
  readonly rows: number;
}

/** Without a sampling nothing is generated. */
export function requestSize(prompt: Prompt, sampling: Sampling | undefined): RequestSize {
  const maxTokens = sampling ? (sampling.maxTokens ?? MAX_TOKENS_DEFAULT) : 0;
  return { promptTokensEstimate: promptTokens(prompt), maxTokens, rows: sampling?.n ?? 1 };
}

function promptTokens({ kind }: Prompt): Tokens {
  switch (kind?.$case) {
    case undefined:
      return 0;
    case "tokens":
      return kind.value.ids.length;
    case "text":
      return Math.ceil(kind.value.length / CHARACTERS_PER_TOKEN);
    case "chat":
      return Math.ceil(kind.value.messages.reduce((sum, message) => sum + message.content.length, 0) / CHARACTERS_PER_TOKEN);
  }
}
