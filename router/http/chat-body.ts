import { z } from "zod";
import type { ChatMessage } from "#proto";
import { invalidField, nullable, parseBody, SAMPLING_FIELDS, STREAMING_FIELDS, text } from "./request-body.ts";

const NAME_CHARACTERS_MAX = 64;

const Part = z.discriminatedUnion(
  "type",
  [z.object({ type: z.literal("text"), text }), z.object({ type: z.literal("refusal"), refusal: text })],
  {
    error: "is no text: only text is supported",
  },
);

const Message = z.object({
  // Calls of tools have no place in a conversation without tools.
  role: text.refine((role) => role !== "tool" && role !== "function", "is of a tool; tools are not supported"),
  content: nullable(
    z.union([text, z.array(Part).transform((parts) => parts.map((part) => ("text" in part ? part.text : part.refusal)).join(""))], {
      error: "is neither text nor a list of parts that are text",
    }),
  ),
  refusal: nullable(text),
  /** Tolerated: the bases' templates tell speakers apart by their roles. */
  name: nullable(text.max(NAME_CHARACTERS_MAX)),
  tool_calls: nullable(z.array(z.unknown()).max(0, "are not supported")),
  function_call: nullable(z.never("is not supported")),
});

const ChatFields = z.object({
  ...STREAMING_FIELDS,
  ...SAMPLING_FIELDS,
  messages: z.array(Message).min(1),
  max_tokens: nullable(z.int()),
  max_completion_tokens: nullable(z.int()),
  logprobs: nullable(z.boolean()),
  top_logprobs: nullable(z.int().nonnegative()),
});

export interface ChatBody extends Omit<z.infer<typeof ChatFields>, "messages"> {
  readonly messages: readonly ChatMessage[];
}

/** @throws Fault parameter_invalid or parameter_unsupported, naming the field. */
export function parseChatBody(json: unknown): ChatBody {
  const body = parseBody(ChatFields, json);
  if (body.top_logprobs !== undefined && !body.logprobs) throw invalidField("top_logprobs", "needs logprobs to be true");
  return { ...body, messages: body.messages.map(messageOf) };
}

function messageOf({ role, content, refusal }: z.infer<typeof Message>, index: number): ChatMessage {
  const said = content ?? refusal;
  if (said === undefined) throw invalidField(`messages[${index}].content`, "is missing");
  // What newer clients call the system's role; templates know the older word.
  return { role: role === "developer" ? "system" : role, content: said };
}
