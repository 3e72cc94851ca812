import { formatUsd, type TenantId } from "#kernel";
import type { Charge, PostedCorrection } from "../../ledger/index.ts";
import type { Exporter } from "./contract.ts";
import { revisionOf } from "./revision.ts";

/** CloudEvents 1.0, JSON format: what a meter's `eventType` names. */
const REQUEST_TYPE = "deltaplane.request.v1";
const CORRECTION_TYPE = "deltaplane.correction.v1";

/**
 * One JSON event a line, as OpenMeter ingests them: it keeps one event per source and id. A meter sums
 * `$.prompt_tokens`, `$.completion_tokens` or `$.amount_usd`, and groups by the other fields. Fields that are not known
 * are absent.
 */
export const cloudevents: Exporter = async function* ({ ledger, tenantIds, since, until }) {
  for (const tenantId of tenantIds) {
    for await (const charge of ledger.charges(tenantId, since, until)) yield line(tenantId, requestEvent(charge));
    for (const correction of await ledger.corrections(tenantId, since, until)) yield line(tenantId, correctionEvent(correction));
  }
};

interface EventPart {
  readonly type: string;
  readonly id: string;
  readonly time: number;
  readonly data: object;
}

function line(tenantId: TenantId, { type, id, time, data }: EventPart): string {
  const event = {
    ...{ specversion: "1.0", id, source: `/deltaplane/tenants/${tenantId}`, type, subject: tenantId },
    ...{ time: new Date(time).toISOString(), datacontenttype: "application/json", data },
  };
  return `${JSON.stringify(event)}\n`;
}

function requestEvent(charge: Charge): EventPart {
  const { requestId, projectId, keyId, model, baseName, deltaDigest, priceVersion, outcome } = charge;
  const data = {
    ...{ request_id: requestId, project_id: projectId, key_id: keyId, model, base: baseName, delta_digest: deltaDigest },
    ...{ price_version: priceVersion, outcome },
    ...{ prompt_tokens: charge.promptTokens, cached_tokens: charge.cachedTokens, completion_tokens: charge.completionTokens },
    ...(charge.trainedTokens > 0 && { trained_tokens: charge.trainedTokens }),
    amount_usd: formatUsd(charge.amount),
  };
  return { type: REQUEST_TYPE, id: `${requestId}:${revisionOf(charge)}`, time: charge.admittedAt, data };
}

function correctionEvent({ id, requestId, reason, amount, postedAt }: PostedCorrection): EventPart {
  const data = { request_id: requestId, reason, amount_usd: formatUsd(amount) };
  return { type: CORRECTION_TYPE, id: `correction:${id}`, time: postedAt, data };
}
