import { Fault, unreachable } from "#kernel";
import type { TextCodec } from "#model";
import type { Prompt } from "#proto";

/**
 * The token ids of a prompt: a text with the special tokens of the base's tokenizer, a conversation through the base's
 * template, or ids as they are.
 *
 * @throws Fault prompt_malformed, parameter_unsupported (no chat template), message_too_large.
 */
export async function encodePrompt(codec: TextCodec, prompt: Prompt | undefined): Promise<readonly number[]> {
  const kind = prompt?.kind;
  if (!kind) throw new Fault("prompt_malformed", "prompt: is not set", { detail: { field: "prompt" } });
  switch (kind.$case) {
    case "text":
      return codec.encode(kind.value);
    case "chat":
      // The template has written the special tokens itself.
      return codec.encode(codec.renderChat(kind.value.messages.map(({ role, content }) => ({ role, content }))), {
        addSpecialTokens: false,
      });
    case "tokens":
      if (kind.value.ids.length > 0) codec.checkPrompt(kind.value.ids);
      return kind.value.ids;
    default:
      return unreachable(kind);
  }
}
