import { z } from "zod";
import { Fault } from "#kernel";

/**
 * What OpenAI's clients send. Fields that we don't know are tolerated, since clients of many ages send many; fields
 * that would change the answer and that we don't offer are refused by name. Ranges are the core's to check, once for
 * both doors; here only the types.
 */
const nullable = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

const Sampling = {
  n: nullable(z.int().nonnegative()),
  temperature: nullable(z.number()),
  top_p: nullable(z.number()),
  top_k: nullable(z.int().nonnegative()),
  min_p: nullable(z.number()),
  seed: nullable(z.int()),
  presence_penalty: nullable(z.number()),
  frequency_penalty: nullable(z.number()),
  repetition_penalty: nullable(z.number()),
  logit_bias: nullable(z.record(z.string().regex(/^\d+$/, "is not a token id"), z.number())),
  stop: nullable(z.union([z.string().transform((stop) => [stop]), z.array(z.string())])),
  ignore_eos: nullable(z.boolean()),
};

const Streaming = {
  model: z.string(),
  stream: nullable(z.boolean()),
  stream_options: nullable(z.object({ include_usage: z.boolean().optional() })),
};

const TokenIds = z.array(z.int().nonnegative());

export const CompletionBody = z.object({
  ...Streaming,
  ...Sampling,
  prompt: z.union([z.string(), TokenIds.min(1), z.tuple([z.string()]), z.tuple([TokenIds.min(1)])], {
    error: "is neither a string nor a list of token ids (one prompt a request)",
  }),
  max_tokens: nullable(z.int()),
  logprobs: nullable(z.int()),
});
export type CompletionBody = z.infer<typeof CompletionBody>;

const TextPart = z.object({ type: z.literal("text", { error: "is no text: only text is supported" }), text: z.string() });

export const ChatBody = z.object({
  ...Streaming,
  ...Sampling,
  messages: z
    .array(
      z.object({
        role: z.string(),
        content: z.union([z.string(), z.array(TextPart).transform((parts) => parts.map((part) => part.text).join(""))]),
      }),
    )
    .min(1),
  max_tokens: nullable(z.int()),
  max_completion_tokens: nullable(z.int()),
  logprobs: nullable(z.boolean()),
  top_logprobs: nullable(z.int()),
});
export type ChatBody = z.infer<typeof ChatBody>;

/** Known to OpenAI, not offered here; harmless at these values. */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
  best_of: [1],
  echo: [false],
  suffix: [""],
  tools: [],
  tool_choice: ["none", "auto"],
  functions: [],
  function_call: ["none", "auto"],
  audio: [],
  prediction: [],
  web_search_options: [],
};

/** @throws Fault parameter_invalid or parameter_unsupported, naming the field. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Fault("message_malformed", "the body is not a JSON object");
  }
  for (const [field, value] of Object.entries(body)) {
    const harmless = Object.hasOwn(UNSUPPORTED, field) ? UNSUPPORTED[field] : undefined;
    if (harmless && value !== null && !harmless.includes(value) && !isEmpty(value)) {
      throw new Fault("parameter_unsupported", `${field} is not supported`, { detail: { field } });
    }
  }
  const format = (body as { response_format?: { type?: unknown } | null }).response_format?.type;
  if (format !== undefined && format !== "text") {
    throw new Fault("parameter_unsupported", "response_format is only supported as text", { detail: { field: "response_format" } });
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join(".") || "body";
  throw new Fault("parameter_invalid", `${field}: ${issue.message}`, { detail: { field } });
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
