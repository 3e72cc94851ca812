import { asTenantId, Fault, type Usage } from "#kernel";
import type { DeltaReference } from "#model";
import type { NodeServiceScoreRequest, NodeServiceScoreResponse } from "#proto";
import type { BaseHost, EngineUse } from "../base-host.ts";
import { GREEDY, type SequenceSpec, type TokenLogprob } from "../engine/index.ts";
import type { GenerationDeps } from "./generation.ts";
import { checkRequestId, claimIdentity } from "./generation-request.ts";
import { encodePrompt } from "./prompt.ts";
import { RequestClaim } from "./request-claim.ts";
import { TOP_LOGPROBS_MAX } from "./sampling-plan.ts";
import { toWireLogprob } from "./token-logprobs.ts";

/**
 * The log-probability of each token of a given text. Nothing is generated; billed as a prompt.
 *
 * @throws Fault prompt_malformed, context_too_long, parameter_invalid; of the delta cache and the engine; the signal's reason.
 */
export async function score(
  deps: GenerationDeps,
  host: BaseHost,
  wire: NodeServiceScoreRequest,
  delta: DeltaReference | undefined,
  signal: AbortSignal,
): Promise<NodeServiceScoreResponse> {
  checkRequestId(wire.requestId);
  if (wire.logprobs > TOP_LOGPROBS_MAX)
    throw new Fault("parameter_invalid", `logprobs: ${wire.logprobs} is not from 0 to ${TOP_LOGPROBS_MAX}`, {
      detail: { field: "logprobs" },
    });
  const promptTokens = await encodePrompt(host.codec, host.info, wire.prompt);
  host.codec.checkPrompt(promptTokens);
  if (promptTokens.length > host.info.contextTokensMax)
    throw new Fault("context_too_long", `the prompt has ${promptTokens.length} tokens, the context ${host.info.contextTokensMax}`, {
      detail: { field: "prompt" },
    });
  const use = await host.use(delta, signal);
  try {
    const logprobs = await promptLogprobs(use, wire, promptTokens, signal);
    const usage: Usage = { promptTokens: promptTokens.length, cachedTokens: 0, completionTokens: 0 };
    await new RequestClaim(deps, claimIdentity(wire, host, delta, deps.nodeId), usage).complete(usage);
    const tokens = promptTokens.map((tokenId, index) => toWireLogprob(host.codec, tokenId, logprobs[index]));
    return { tokens, usage: { ...usage } };
  } finally {
    use.release();
  }
}

/** Runs the prompt alone: the sequence is given up as soon as the prompt's log-probabilities are there. */
async function promptLogprobs(
  use: EngineUse,
  wire: NodeServiceScoreRequest,
  promptTokens: readonly number[],
  signal: AbortSignal,
): Promise<readonly (TokenLogprob | undefined)[]> {
  const over = new AbortController();
  const sequence: SequenceSpec = {
    id: `${use.sequencePrefix}/score`,
    tenantId: asTenantId(wire.tenantId),
    promptTokens,
    emittedTokens: [],
    slot: use.slot,
    sampling: { ...GREEDY, topLogprobs: wire.logprobs },
    maxTokens: 0,
    stopTokenIds: new Set(),
    promptLogprobs: true,
  };
  for await (const event of use.engine.generate(sequence, AbortSignal.any([signal, over.signal]))) {
    if (event.kind !== "prompt") continue;
    over.abort();
    return event.logprobs;
  }
  throw new Fault("bug", "the engine gave no log-probabilities of the prompt");
}
