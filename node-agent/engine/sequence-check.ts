import { Fault, type Tokens } from "#kernel";
import type { BaseInfo } from "#model";
import type { SequenceSpec } from "./contract.ts";

/**
 * How many tokens the text may have after the prompt, emitted ones included: `maxTokens`, or up to the end of the
 * context. Throws a Fault that names the field when the sequence can't run on `base` at all.
 */
export function completionTokensMax(spec: SequenceSpec, base: BaseInfo, kvTokensMax: Tokens): Tokens {
  const promptTokens = spec.promptTokens.length;
  if (promptTokens === 0) throw new Fault("prompt_malformed", "prompt: it has no tokens", { detail: { field: "prompt" } });
  checkTokens(spec.promptTokens, base, "prompt");
  checkTokens(spec.emittedTokens, base, "emitted_tokens");
  checkTokens(spec.sampling.logitBias.keys(), base, "logit_bias");
  const scoresOnly = spec.promptLogprobs && spec.maxTokens === 0;
  if (promptTokens > base.contextTokensMax - (scoresOnly ? 0 : 1)) {
    const message = `prompt: ${promptTokens} tokens leave no room in ${base.name}'s context of ${base.contextTokensMax}`;
    throw new Fault("context_too_long", message, { detail: { field: "prompt" } });
  }
  const completionMax = Math.min(spec.maxTokens, base.contextTokensMax - promptTokens);
  if (!scoresOnly && completionMax <= spec.emittedTokens.length) {
    const message = `max_tokens: ${completionMax} leave nothing to add to ${spec.emittedTokens.length} emitted tokens`;
    throw new Fault("parameter_invalid", message, { detail: { field: "max_tokens" } });
  }
  if (promptTokens + completionMax > kvTokensMax) {
    const message = `max_tokens: prompt and answer need ${promptTokens + completionMax} positions, this node has ${kvTokensMax}`;
    throw new Fault("capacity_exhausted", message, { detail: { field: "max_tokens" }, retry: { kind: "other_node" } });
  }
  return completionMax;
}

function checkTokens(tokens: Iterable<number>, base: BaseInfo, field: string): void {
  for (const token of tokens) {
    if (Number.isInteger(token) && token >= 0 && token < base.vocabularySize) continue;
    const reason = field === "logit_bias" ? "parameter_invalid" : "prompt_malformed";
    throw new Fault(reason, `${field}: ${token} is no token of a vocabulary of ${base.vocabularySize}`, { detail: { field } });
  }
}
