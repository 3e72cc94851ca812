/** One message of a conversation. Templates may look at other fields too (`name`, `tool_calls`). */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** Turns token by token into text that will not change any more. */
export interface Detokenizer {
  /** The text that became certain with this token: perhaps none, never half a character. */
  push(tokenId: number): string;
  /** What was held back: an unfinished character becomes U+FFFD. */
  end(): string;
}

/** Between text and tokens, for one base. */
export interface TextCodec {
  /**
   * The ids of a text, perhaps none. `addSpecialTokens` (default true) adds what the tokenizer puts around a prompt;
   * a rendered chat has it already. Faults: prompt_malformed for half a surrogate pair or an id that the base lacks,
   * message_too_large, and context_too_long for a text that is far beyond `contextTokensMax`, which is then not read to its
   * end; what is a little beyond it is the caller's to refuse. NUL is a character like any other.
   */
  encode(text: string, options?: { readonly addSpecialTokens?: boolean; readonly contextTokensMax?: number }): Promise<number[]>;
  countTokens(text: string, options?: { readonly addSpecialTokens?: boolean }): Promise<number>;
  /** Fault prompt_malformed for a prompt without tokens, or with one that is not in the base's vocabulary. `field` names it. */
  checkPrompt(tokenIds: readonly number[], field?: string): void;
  /** What a token adds in the middle of a text; empty for an id without a token. */
  tokenBytes(tokenId: number): Uint8Array;
  /** The same as text; bytes that are no whole character become U+FFFD. Special tokens have their names. */
  tokenText(tokenId: number): string;
  /**
   * The prompt for a conversation, by the base's own template. Faults: parameter_unsupported when it has none,
   * prompt_malformed when the template refuses the messages, message_too_large.
   */
  renderChat(messages: readonly ChatMessage[], options?: { readonly addGenerationPrompt?: boolean }): string;
  /** The token itself, in the tokenizer's own spelling; undefined for special tokens and ids without a token, which are no part of a text. */
  visibleToken(tokenId: number): string | undefined;
  readonly decoder: TokenDecoder;
}

/** How the tokens of one tokenizer become text. */
export interface TokenDecoder {
  /** The decoding of one text, from its first token on. */
  start(): { push(token: string): string; end(): string };
  /** What one token stands for in the middle of a text. */
  tokenBytes(token: string): Uint8Array;
}
