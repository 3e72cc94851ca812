import { z } from "zod";
import { Fault, shapeWords } from "#kernel";

/**
 * What OpenAI's clients send to both endpoints. Fields that we don't know are tolerated, since clients of many ages send
 * many; fields that would change the answer and that we don't offer are refused by name. Ranges are the core's to check,
 * once for both doors; here only the types, and what OpenAI limits more narrowly.
 */
export const nullable = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

/** JSON can spell half a character, which no token stands for. */
export const text = z.string().refine((value) => value.isWellFormed(), "is no valid Unicode text");

export const SAMPLING_FIELDS = {
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
  stop: nullable(z.union([text.transform((stop) => [stop]), z.array(text)])),
  ignore_eos: nullable(z.boolean()),
};

export const STREAMING_FIELDS = {
  model: text,
  stream: nullable(z.boolean()),
  stream_options: nullable(
    z.object({
      include_usage: nullable(z.boolean()),
      /** vLLM's: the usage so far on every chunk. */
      continuous_usage_stats: nullable(z.boolean()),
    }),
  ),
};

/** Known to OpenAI, not offered here; harmless at these values. */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
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
    if (harmless && value !== null && !harmless.includes(value) && !isEmpty(value)) throw unsupported(field, "is not supported");
  }
  const { response_format: format, modalities } = body as { response_format?: { type?: unknown } | null; modalities?: unknown };
  if (format !== undefined && format !== null && format.type !== "text") throw unsupported("response_format", "is only supported as text");
  if (Array.isArray(modalities) && modalities.some((modality) => modality !== "text")) throw unsupported("modalities", "are only text");
  const parsed = schema.safeParse(body, { error: shapeWords });
  if (parsed.success) return parsed.data;
  throw invalidField(fieldOf(parsed.error.issues[0]!.path), parsed.error.issues[0]!.message);
}

export function invalidField(field: string, what: string): Fault {
  return new Fault("parameter_invalid", `${field}: ${what}`, { detail: { field } });
}

function unsupported(field: string, what: string): Fault {
  return new Fault("parameter_unsupported", `${field} ${what}`, { detail: { field } });
}

/** `messages[0].role`, as OpenAI writes it. */
function fieldOf(path: readonly PropertyKey[]): string {
  const field = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return field.replace(/^\./, "") || "body";
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
