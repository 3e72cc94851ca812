import type { Detokenizer, TextCodec } from "./contract.ts";

/**
 * A decoder for one text. Its pushes and its end together are what the tokenizer decodes from all ids at once, special
 * tokens left out; each push costs the same, however long the text is.
 */
export function createDetokenizer(codec: Pick<TextCodec, "decoder" | "visibleToken">): Detokenizer {
  const text = codec.decoder.start();
  return {
    push(tokenId) {
      const token = codec.visibleToken(tokenId);
      return token === undefined ? "" : text.push(token);
    },
    end: () => text.end(),
  };
}
