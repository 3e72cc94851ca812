import type { TextCodec } from "#model";
import type { TokenLogprob as WireTokenLogprob } from "#proto";
import type { TokenLogprob } from "../engine/index.ts";

/**
 * A token with its text and bytes, its log-probability and those of its alternatives. Where it has none it reports 0: the
 * first token of a text follows nothing.
 */
export function toWireLogprob(codec: TextCodec, tokenId: number, of: TokenLogprob | undefined): WireTokenLogprob {
  const top = of?.top ?? [];
  return {
    ...named(codec, tokenId),
    logprob: of?.logprob ?? 0,
    top: top.map((each) => ({ ...named(codec, each.tokenId), logprob: each.logprob })),
  };
}

function named(codec: TextCodec, tokenId: number) {
  return { tokenId, text: codec.tokenText(tokenId), raw: Buffer.from(codec.tokenBytes(tokenId)) };
}
