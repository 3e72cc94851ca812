import { asRequestId, asTenantId, Fault, NO_USAGE, type NodeId, type Random, type Usage } from "#kernel";
import type { DeltaReference } from "#model";
import type { ChoiceProgress, NodeServiceGenerateRequest, NodeServiceScoreRequest } from "#proto";
import type { BaseHost } from "../base-host.ts";
import { encodePrompt } from "./prompt.ts";
import type { ClaimIdentity } from "./request-claim.ts";
import { planSampling, type SamplingPlan } from "./sampling-plan.ts";

/** A request that was checked as a whole: nothing of it can be refused any more for what it says. */
export interface GenerationRequest {
  readonly promptTokens: readonly number[];
  readonly plan: SamplingPlan;
  /** Whether the first piece of the first choice reports the prompt. */
  readonly echo: boolean;
  /** By choice: what the client has already. */
  readonly progress: ReadonlyMap<number, ChoiceProgress>;
  /** What earlier attempts have handed over. */
  readonly usageBefore: Usage;
}

/** Long enough for any scheme of ids, short enough for logs and claims. */
const REQUEST_ID_LENGTH_MAX = 128;

/** @throws Fault prompt_malformed, context_too_long, parameter_invalid with the field's name. */
export async function checkRequest(request: NodeServiceGenerateRequest, host: BaseHost, random: Random): Promise<GenerationRequest> {
  checkRequestId(request.requestId);
  const promptTokens = await encodePrompt(host.codec, host.info, request.prompt);
  host.codec.checkPrompt(promptTokens);
  const plan = planSampling(request.sampling, host.info, host.defaults, promptTokens.length, random);
  const progress = new Map<number, ChoiceProgress>();
  for (const each of request.progress) {
    if (each.choice >= plan.choices || progress.has(each.choice))
      throw invalidProgress("names a choice twice, or one that was not asked for");
    if (each.tokenIds.length > plan.maxTokens) throw invalidProgress("has more tokens than were asked for");
    if (each.tokenIds.length > 0) host.codec.checkPrompt(each.tokenIds, "progress");
    progress.set(each.choice, each);
  }
  const delivered = request.progress.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  const usageBefore = delivered === 0 ? NO_USAGE : { promptTokens: promptTokens.length, cachedTokens: 0, completionTokens: delivered };
  return { promptTokens, plan, echo: request.echo, progress, usageBefore };
}

/** What all claims of this attempt say, whatever it consumes. */
export function claimIdentity(
  request: NodeServiceGenerateRequest | NodeServiceScoreRequest,
  host: BaseHost,
  delta: DeltaReference | undefined,
  nodeId: NodeId,
): ClaimIdentity {
  return {
    requestId: asRequestId(request.requestId),
    attempt: "attempt" in request ? request.attempt : 0,
    tenantId: asTenantId(request.tenantId),
    baseDigest: host.info.digest,
    // As the router calls it: that is what price lists go by.
    baseName: request.baseName || host.info.name,
    ...(delta && { deltaDigest: delta.digest }),
    priceVersion: request.priceVersion,
    nodeId,
    admittedAt: request.admittedAtMs,
  };
}

export function checkRequestId(requestId: string): void {
  if (requestId.length === 0 || requestId.length > REQUEST_ID_LENGTH_MAX)
    throw new Fault("parameter_invalid", `request_id: has ${requestId.length} characters; 1 to ${REQUEST_ID_LENGTH_MAX} are taken`, {
      detail: { field: "request_id" },
    });
}

function invalidProgress(why: string): Fault {
  return new Fault("parameter_invalid", `progress: ${why}`, { detail: { field: "progress" } });
}
