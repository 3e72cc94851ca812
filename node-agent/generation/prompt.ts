import { Fault, unreachable } from "#kernel";
import type { BaseInfo, TextCodec } from "#model";
import type { Prompt } from "#proto";

/**
 * The token ids of a prompt: a text with the special tokens of the base's tokenizer, a conversation through the base's
 * template, ids as they are, or the token with which the base's texts begin (where it has none, the one that ends them).
 *
 * @throws Fault prompt_malformed, parameter_unsupported (no chat template, no such token), message_too_large, context_too_long.
 */
export async function encodePrompt(
  codec: TextCodec,
  base: Pick<BaseInfo, "bosTokenId" | "eosTokenIds" | "contextTokensMax">,
  prompt: Prompt | undefined,
): Promise<readonly number[]> {
  const kind = prompt?.kind;
  if (!kind) throw new Fault("prompt_malformed", "prompt: is not set", { detail: { field: "prompt" } });
  switch (kind.$case) {
    case "text":
      return codec.encode(kind.value, { contextTokensMax: base.contextTokensMax });
    case "chat":
      // The template has written the special tokens itself.
      return codec.encode(codec.renderChat(kind.value.messages.map(({ role, content }) => ({ role, content }))), {
        addSpecialTokens: false,
        contextTokensMax: base.contextTokensMax,
      });
    case "tokens":
      if (kind.value.ids.length > 0) codec.checkPrompt(kind.value.ids);
      return kind.value.ids;
    case "start":
      return [startToken(base)];
    default:
      return unreachable(kind);
  }
}

function startToken({ bosTokenId, eosTokenIds }: Pick<BaseInfo, "bosTokenId" | "eosTokenIds">): number {
  const token = bosTokenId ?? eosTokenIds[0];
  if (token !== undefined) return token;
  throw new Fault("parameter_unsupported", "prompt: this base has no token that begins or ends a text; say what to continue", {
    detail: { field: "prompt" },
  });
}
