import type { CallUsage } from "../../api/index.ts";

/** A token as the model chose it. */
export interface Token {
  readonly text: string;
  readonly logprob: number;
  /** The likeliest first; the token itself may be among them. */
  readonly alternatives: readonly { readonly text: string; readonly logprob: number }[];
}

/** What a chunk of either endpoint says of one choice. */
export interface Piece {
  readonly index: number;
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly finish: string | null;
}

interface ChatToken {
  readonly token: string;
  readonly logprob: number;
}

/** A chunk of `/v1/completions` or of `/v1/chat/completions`. */
export interface Chunk {
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly text?: string;
    readonly delta?: { readonly content?: string };
    readonly finish_reason: string | null;
    readonly logprobs?:
      | { readonly content: readonly (ChatToken & { readonly top_logprobs: readonly ChatToken[] })[] }
      | {
          readonly tokens: readonly string[];
          readonly token_logprobs: readonly (number | null)[];
          readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
        }
      | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  } | null;
}

type Choice = Chunk["choices"][number];

export function piecesOf(chunk: Chunk): readonly Piece[] {
  return chunk.choices.map((choice) => ({
    index: choice.index,
    text: choice.text ?? choice.delta?.content ?? "",
    tokens: tokensOf(choice),
    finish: choice.finish_reason,
  }));
}

export function usageOf({ usage }: Chunk): CallUsage | undefined {
  if (!usage) return undefined;
  return {
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details.cached_tokens,
    completionTokens: usage.completion_tokens,
  };
}

function tokensOf({ logprobs }: Choice): readonly Token[] {
  if (!logprobs) return [];
  if ("content" in logprobs)
    return logprobs.content.map(({ token, logprob, top_logprobs }) => ({
      ...{ text: token, logprob },
      alternatives: byChance(top_logprobs.map((each) => ({ text: each.token, logprob: each.logprob }))),
    }));
  return logprobs.tokens.map((text, index) => ({
    ...{ text, logprob: logprobs.token_logprobs[index] ?? 0 },
    alternatives: byChance(Object.entries(logprobs.top_logprobs[index] ?? {}).map(([other, logprob]) => ({ text: other, logprob }))),
  }));
}

function byChance(alternatives: Token["alternatives"]): Token["alternatives"] {
  return alternatives.toSorted((one, other) => other.logprob - one.logprob);
}
