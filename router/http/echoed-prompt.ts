import type { Prompt, TokenLogprob } from "#proto";
import { TokenOffsets } from "./token-offsets.ts";

/** A prompt as a completion repeats it: its text, and where in it each of its tokens begins. */
export interface EchoedPrompt {
  readonly text: string;
  readonly tokens: readonly TokenLogprob[];
  readonly offsets: readonly number[];
}

const SPACE = 0x20;

/**
 * A text is repeated as it was sent, without what the tokenizer put around it: such tokens have their place, but no
 * length. Token ids are repeated as the text that they stand for, and so is a text that its tokens do not spell out
 * (tokenizers may normalise).
 */
export function echoedPrompt(prompt: Prompt, tokens: readonly TokenLogprob[]): EchoedPrompt {
  const sent = prompt.kind?.$case === "text" ? prompt.kind.value : undefined;
  const offsets = sent === undefined ? undefined : offsetsIn(Buffer.from(sent), tokens);
  if (sent !== undefined && offsets) return { text: sent, tokens, offsets };
  const spelt = new TokenOffsets();
  return {
    text: Buffer.concat(tokens.map((token) => token.raw)).toString(),
    tokens,
    offsets: tokens.map((token) => spelt.take(token.raw)),
  };
}

/** Undefined when the tokens do not spell out the text. */
function offsetsIn(text: Buffer, tokens: readonly TokenLogprob[]): readonly number[] | undefined {
  const offsets = new TokenOffsets();
  let at = 0;
  const found = tokens.map(({ raw }) => {
    const spelt = speltAt(text, at, raw);
    at += spelt.length;
    return offsets.take(spelt);
  });
  return at === text.length ? found : undefined;
}

/** What of a token's bytes stands at a place of the text: all, all but a space that the tokenizer put before the text, or nothing. */
function speltAt(text: Buffer, at: number, raw: Uint8Array): Uint8Array {
  const stands = (bytes: Uint8Array) => text.subarray(at, at + bytes.length).equals(bytes);
  if (stands(raw)) return raw;
  if (at === 0 && raw[0] === SPACE && stands(raw.subarray(1))) return raw.subarray(1);
  return raw.subarray(0, 0);
}
