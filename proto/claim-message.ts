import {
  asBaseDigest,
  asDeltaDigest,
  asKeyId,
  asNodeId,
  asProjectId,
  asRequestId,
  asTenantId,
  type Claim,
  Fault,
  NO_USAGE,
  type Outcome,
} from "#kernel";
import { type Claim as ClaimMessage, Outcome as OutcomeMessage } from "./generated/deltaplane/v1/billing.ts";

/** Claims on the wire: absent fields are empty strings there. */

const OUTCOMES: Readonly<Record<Outcome, OutcomeMessage>> = {
  running: OutcomeMessage.OUTCOME_RUNNING,
  completed: OutcomeMessage.OUTCOME_COMPLETED,
  cancelled: OutcomeMessage.OUTCOME_CANCELLED,
  failed: OutcomeMessage.OUTCOME_FAILED,
};

export function claimToMessage(claim: Claim): ClaimMessage {
  return {
    requestId: claim.requestId,
    attempt: claim.attempt,
    tenantId: claim.tenantId,
    keyId: claim.keyId ?? "",
    projectId: claim.projectId ?? "",
    baseDigest: claim.baseDigest,
    baseName: claim.baseName,
    deltaDigest: claim.deltaDigest ?? "",
    model: claim.model ?? "",
    priceVersion: claim.priceVersion,
    usage: { ...claim.usage },
    outcome: OUTCOMES[claim.outcome],
    nodeId: claim.nodeId ?? "",
    admittedAtMs: claim.admittedAt,
  };
}

/** @throws Fault message_malformed when a claim names no request, tenant or base. */
export function claimFromMessage(message: ClaimMessage): Claim {
  for (const field of ["requestId", "tenantId", "baseDigest", "baseName"] as const) {
    if (message[field] === "") throw new Fault("message_malformed", `a claim has no ${field}`, { detail: { field } });
  }
  const outcome = (Object.keys(OUTCOMES) as Outcome[]).find((name) => OUTCOMES[name] === message.outcome);
  if (!outcome)
    throw new Fault("message_malformed", `a claim has the unknown outcome ${message.outcome}`, { detail: { field: "outcome" } });
  return {
    requestId: asRequestId(message.requestId),
    attempt: message.attempt,
    tenantId: asTenantId(message.tenantId),
    baseDigest: asBaseDigest(message.baseDigest),
    baseName: message.baseName,
    priceVersion: message.priceVersion,
    usage: message.usage ?? NO_USAGE,
    outcome,
    admittedAt: message.admittedAtMs,
    ...(message.keyId && { keyId: asKeyId(message.keyId) }),
    ...(message.projectId && { projectId: asProjectId(message.projectId) }),
    ...(message.deltaDigest && { deltaDigest: asDeltaDigest(message.deltaDigest) }),
    ...(message.model && { model: message.model }),
    ...(message.nodeId && { nodeId: asNodeId(message.nodeId) }),
  };
}
