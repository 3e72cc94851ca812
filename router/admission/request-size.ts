import type { Tokens } from "#kernel";
import type { Prompt, Sampling } from "#proto";

/** What the wire says when nothing is asked for: see `Sampling.max_tokens`. */
export const MAX_TOKENS_DEFAULT: Tokens = 256;
/** Of usual text in usual vocabularies; good enough to compare requests, never to bill them. */
const CHARACTERS_PER_TOKEN = 4;
/** What a chat template adds around each message: a role's name, and a few tokens that begin and end it. */
const MESSAGE_TOKENS_MAX: Tokens = 16;
/** What it adds to the whole: some put a system message of their own in front. */
const TEMPLATE_TOKENS_MAX: Tokens = 256;
/** What an encoder adds to a text: the token that begins it, and a space in front. */
const ENCODER_TOKENS_MAX: Tokens = 2;

/** How large a request will be, for the scheduler. */
export interface RequestSize {
  readonly promptTokensEstimate: Tokens;
  readonly maxTokens: Tokens;
  readonly rows: number;
}

/** Without a sampling nothing is generated. */
export function requestSize(prompt: Prompt, sampling: Sampling | undefined): RequestSize {
  const maxTokens = sampling ? (sampling.maxTokens ?? MAX_TOKENS_DEFAULT) : 0;
  return { promptTokensEstimate: promptTokensEstimate(prompt), maxTokens, rows: sampling?.n ?? 1 };
}

/**
 * The most tokens that a prompt can have: byte-level vocabularies have no token below a byte, and all others fall back
 * to bytes. What is longer than the context is refused by the node.
 */
export function promptTokensMax({ kind }: Prompt, contextTokensMax: Tokens): Tokens {
  return Math.min(contextTokensMax, mostTokens(kind));
}

function mostTokens(kind: Prompt["kind"]): Tokens {
  switch (kind?.$case) {
    case undefined:
      return 0;
    case "start":
      return 1;
    case "tokens":
      return kind.value.ids.length;
    case "text":
      return Buffer.byteLength(kind.value) + ENCODER_TOKENS_MAX;
    case "chat":
      return kind.value.messages.reduce(
        (sum, { role, content }) => sum + Buffer.byteLength(role) + Buffer.byteLength(content) + MESSAGE_TOKENS_MAX,
        TEMPLATE_TOKENS_MAX,
      );
  }
}

function promptTokensEstimate({ kind }: Prompt): Tokens {
  switch (kind?.$case) {
    case undefined:
      return 0;
    case "start":
      return 1;
    case "tokens":
      return kind.value.ids.length;
    case "text":
      return Math.ceil(kind.value.length / CHARACTERS_PER_TOKEN);
    case "chat":
      return Math.ceil(kind.value.messages.reduce((sum, message) => sum + message.content.length, 0) / CHARACTERS_PER_TOKEN);
  }
}
