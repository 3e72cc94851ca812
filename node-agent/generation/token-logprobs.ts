import type { TextCodec } from "#model";
import type { TokenLogprob as WireTokenLogprob } from "#proto";
import type { TokenLogprob } from "../engine/contract.ts";

/** A token's log-probability with its text and bytes, and those of its alternatives. */
export function toWireLogprob(codec: TextCodec, { tokenId, logprob, top }: TokenLogprob): WireTokenLogprob {
  return { ...named(codec, tokenId), logprob, top: top.map((each) => ({ ...named(codec, each.tokenId), logprob: each.logprob })) };
}

/** The first token of a text follows nothing: it has no log-probability and reports 0. */
export function withoutLogprob(codec: TextCodec, tokenId: number): WireTokenLogprob {
  return { ...named(codec, tokenId), logprob: 0, top: [] };
}

function named(codec: TextCodec, tokenId: number) {
  return { tokenId, text: codec.tokenText(tokenId), raw: Buffer.from(codec.tokenBytes(tokenId)) };
}
