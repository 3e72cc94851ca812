import { z } from "zod";
import type { Prompt } from "#proto";
import { readPrompts } from "./prompts.ts";
import { invalidField, nullable, parseBody, SAMPLING_FIELDS, STREAMING_FIELDS } from "./request-body.ts";

/** OpenAI's: more alternatives than these are for chat. */
const TOP_LOGPROBS_MAX = 5;
/** As n: each is a row of the engine. */
const BEST_OF_MAX = 16;
/** Over all prompts: all of them are held in memory until the last is there. */
const CHOICES_MAX = 128;

const CompletionFields = z.object({
  ...STREAMING_FIELDS,
  ...SAMPLING_FIELDS,
  prompt: z.unknown(),
  max_tokens: nullable(z.int()),
  logprobs: nullable(z.int().min(0).max(TOP_LOGPROBS_MAX)),
  echo: nullable(z.boolean()),
  best_of: nullable(z.int().min(1).max(BEST_OF_MAX)),
});

export interface CompletionBody extends Omit<z.infer<typeof CompletionFields>, "prompt"> {
  readonly prompts: readonly Prompt[];
  /** Choices that are answered with, and that are made, for each prompt. */
  readonly choices: { readonly kept: number; readonly made: number };
  /** Nothing is generated: the prompt is only read. */
  readonly scores: boolean;
}

/** @throws Fault parameter_invalid or parameter_unsupported, naming the field. */
export function parseCompletionBody(json: unknown): CompletionBody {
  const { prompt, ...body } = parseBody(CompletionFields, json);
  const prompts = readPrompts(prompt);
  const kept = body.n ?? 1;
  const made = body.best_of ?? kept;
  const scores = body.echo === true && body.max_tokens === 0;
  if (made < kept) throw invalidField("best_of", `is ${made}, less than n, which is ${kept}`);
  if (body.stream && made > kept) throw invalidField("best_of", "chooses among whole texts, which can't be streamed");
  if (scores && made > 1) throw invalidField(body.best_of === undefined ? "n" : "best_of", "must be 1 where max_tokens is 0");
  if (prompts.length * made > CHOICES_MAX) {
    throw invalidField("prompt", `${prompts.length} prompts with ${made} choices each are more than ${CHOICES_MAX} texts`);
  }
  return { ...body, prompts, choices: { kept, made }, scores };
}
