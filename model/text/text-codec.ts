import path from "node:path";
import { Tokenizer } from "tokenizers";
import { Fault, KIB, MIB } from "#kernel";
import type { BaseInfo } from "../base.ts";
import { decodeJsonObject, fileFault, isJsonObject, type JsonValue, readWholeFile } from "../files/index.ts";
import { openChatTemplate, type RenderChat } from "./chat-template.ts";
import type { TextCodec, TokenDecoder } from "./contract.ts";
import { parseDecoder } from "./token-decoder.ts";

const TOKENIZER_FILE = "tokenizer.json";
/** The largest published one, of 262,144 tokens, has 33 MB. */
const TOKENIZER_BYTES_MAX = 128 * MIB;
/** As much as a message to the router may hold; no context is that long. */
const TEXT_CHARACTERS_MAX = 4 * MIB;
/** So much of a text is encoded at a time to see whether it can fit a context: some milliseconds of work. */
const GLANCE_CHARACTERS = 16 * KIB;
/** Usual text has as many a token; what is no longer than a context of these is encoded at once. */
const CHARACTERS_PER_TOKEN = 4;
/** Pieces have a few tokens more than the whole that they were cut from, never twice as many. */
const CONTEXTS_CERTAINLY_TOO_LONG = 2;

/**
 * Opens the tokenizer and the chat template of a base's folder. Faults: file_missing, file_malformed, and
 * model_unsupported for a decoder that can't be streamed.
 */
export async function openTextCodec(directory: string, info: Pick<BaseInfo, "vocabularySize">): Promise<TextCodec> {
  const content = await readWholeFile(path.join(directory, TOKENIZER_FILE), TOKENIZER_BYTES_MAX, "follow");
  const json = decodeJsonObject(content, TOKENIZER_FILE);
  return new NativeTextCodec({
    tokenizer: parseTokenizer(content.toString()),
    decoder: parseDecoder(json["decoder"]),
    specialTokens: specialTokens(json["added_tokens"]),
    renderChat: await openChatTemplate(directory),
    vocabularySize: info.vocabularySize,
  });
}

function parseTokenizer(json: string): Tokenizer {
  try {
    const tokenizer = Tokenizer.fromString(json);
    // A file may come with the settings of its last training run; a prompt is neither cut nor padded.
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
    return tokenizer;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.slice(0, 300) : "unknown";
    throw fileFault("file_malformed", TOKENIZER_FILE, `not a tokenizer: ${why}`, { cause });
  }
}

function specialTokens(added: JsonValue | undefined): ReadonlySet<string> {
  const tokens: readonly JsonValue[] = Array.isArray(added) ? added : [];
  const special = tokens.filter(isJsonObject).filter((token) => token["special"] === true);
  return new Set(special.map(({ content }) => String(content)));
}

interface Parts {
  readonly tokenizer: Tokenizer;
  readonly decoder: TokenDecoder;
  readonly specialTokens: ReadonlySet<string>;
  readonly renderChat: RenderChat | undefined;
  readonly vocabularySize: number;
}

class NativeTextCodec implements TextCodec {
  readonly #parts: Parts;
  /** By id, filled as they are asked for; null where the tokenizer has none. Bounded by the vocabulary. */
  readonly #tokens: (string | null | undefined)[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async encode(
    text: string,
    { addSpecialTokens = true, contextTokensMax }: { readonly addSpecialTokens?: boolean; readonly contextTokensMax?: number } = {},
  ): Promise<number[]> {
    if (text.length > TEXT_CHARACTERS_MAX) {
      throw new Fault("message_too_large", `a text of ${text.length} characters, more than the ${TEXT_CHARACTERS_MAX} accepted`);
    }
    if (!text.isWellFormed()) throw new Fault("prompt_malformed", "the text has half a surrogate pair, which is no character");
    if (contextTokensMax !== undefined) await this.#refuseFarBeyond(contextTokensMax, text);
    const tokenIds = (await this.#parts.tokenizer.encode(text, null, { addSpecialTokens })).getIds();
    this.#checkIds(tokenIds, "prompt");
    return tokenIds;
  }

  /** Millions of tokens take seconds of all cores to make and to hand over, only to be refused: whoever sends them must not stop others. */
  async #refuseFarBeyond(contextTokensMax: number, text: string): Promise<void> {
    if (text.length <= Math.max(GLANCE_CHARACTERS, contextTokensMax * CHARACTERS_PER_TOKEN)) return;
    const tokensMax = contextTokensMax * CONTEXTS_CERTAINLY_TOO_LONG;
    let tokens = 0;
    for (let at = 0; at < text.length; at += GLANCE_CHARACTERS) {
      const piece = text.slice(at, at + GLANCE_CHARACTERS).toWellFormed();
      tokens += (await this.#parts.tokenizer.encode(piece, null, { addSpecialTokens: false })).getLength();
      if (tokens <= tokensMax) continue;
      const message = `the prompt has more than ${tokensMax} tokens, the context ${contextTokensMax}`;
      throw new Fault("context_too_long", message, { detail: { field: "prompt" } });
    }
  }

  async countTokens(text: string, options: { readonly addSpecialTokens?: boolean } = {}): Promise<number> {
    return (await this.encode(text, options)).length;
  }

  checkPrompt(tokenIds: readonly number[], field = "prompt"): void {
    if (tokenIds.length === 0) throw new Fault("prompt_malformed", `${field}: has no tokens`, { detail: { field } });
    this.#checkIds(tokenIds, field);
  }

  tokenBytes(tokenId: number): Uint8Array {
    const token = this.#token(tokenId);
    if (token === null) return new Uint8Array(0);
    return this.#parts.specialTokens.has(token) ? new TextEncoder().encode(token) : this.#parts.decoder.tokenBytes(token);
  }

  tokenText(tokenId: number): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.tokenBytes(tokenId));
  }

  renderChat(messages: Parameters<TextCodec["renderChat"]>[0], { addGenerationPrompt = true } = {}): string {
    const { renderChat } = this.#parts;
    if (renderChat) return renderChat(messages, addGenerationPrompt);
    throw new Fault("parameter_unsupported", "messages: this base has no chat template; use completions", {
      detail: { field: "messages" },
    });
  }

  visibleToken(tokenId: number): string | undefined {
    const token = this.#token(tokenId);
    return token === null || this.#parts.specialTokens.has(token) ? undefined : token;
  }

  get decoder(): TokenDecoder {
    return this.#parts.decoder;
  }

  #token(tokenId: number): string | null {
    const known = this.#tokens[tokenId];
    if (known !== undefined) return known;
    if (!this.#isInVocabulary(tokenId)) return null;
    const token = this.#parts.tokenizer.idToToken(tokenId);
    this.#tokens[tokenId] = token;
    return token;
  }

  #checkIds(tokenIds: readonly number[], field: string): void {
    const wrong = tokenIds.findIndex((tokenId) => !this.#isInVocabulary(tokenId));
    if (wrong < 0) return;
    const why = `token ${tokenIds[wrong]} is not in the vocabulary of ${this.#parts.vocabularySize}`;
    throw new Fault("prompt_malformed", `${field}[${wrong}]: ${why}`, { detail: { field: `${field}[${wrong}]` } });
  }

  #isInVocabulary(tokenId: number): boolean {
    return Number.isInteger(tokenId) && tokenId >= 0 && tokenId < this.#parts.vocabularySize;
  }
}
