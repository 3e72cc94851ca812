import type { Prompt } from "#proto";
import { invalidField } from "./request-body.ts";

/** A few times what evaluation scripts send at once; each prompt is a request of its own behind this door. */
const PROMPTS_MAX = 128;

/**
 * The prompts of a completion: a text, several texts, token ids, several lists of token ids, or nothing, which is a text
 * from its beginning. @throws Fault parameter_invalid, naming `prompt` or the one of several
 */
export function readPrompts(prompt: unknown): readonly Prompt[] {
  if (prompt === undefined) throw invalidField("prompt", "is missing");
  if (prompt === null) return [{ kind: { $case: "start", value: {} } }];
  if (typeof prompt === "string") return [textPrompt(prompt)];
  if (!Array.isArray(prompt)) throw invalidField("prompt", "is neither text nor a list of texts or token ids");
  if (prompt.length === 0) throw invalidField("prompt", "is an empty list");
  if (typeof prompt[0] === "number") return [tokenPrompt(prompt, "prompt")];
  if (prompt.length > PROMPTS_MAX) throw invalidField("prompt", `has ${prompt.length} prompts, more than ${PROMPTS_MAX}`);
  return prompt.map((each: unknown, index) => {
    if (typeof each === "string" && typeof prompt[0] === "string") return textPrompt(each);
    if (Array.isArray(each) && Array.isArray(prompt[0])) return tokenPrompt(each, `prompt[${index}]`);
    throw invalidField(`prompt[${index}]`, "is not of the kind of the first: a text, or a list of token ids");
  });
}

function textPrompt(value: string): Prompt {
  return { kind: { $case: "text", value } };
}

function tokenPrompt(ids: readonly unknown[], field: string): Prompt {
  if (ids.length === 0) throw invalidField(field, "has no tokens");
  const wrong = ids.findIndex((id) => !Number.isInteger(id) || (id as number) < 0);
  if (wrong >= 0) throw invalidField(`${field}[${wrong}]`, "is no token id");
  return { kind: { $case: "tokens", value: { ids: ids as number[] } } };
}
