import type { NanoUsd } from "#kernel";
import type { Charge, PostedCorrection } from "../../ledger/index.ts";
import type { Exporter } from "./contract.ts";
import { revisionOf } from "./revision.ts";

/** What Lago's batch endpoint takes at once. */
const BATCH_EVENTS_MAX = 100;
/** The billable metric: sums `tokens`, and is charged by the model "dynamic", so that the amounts are ours. */
const METRIC_CODE = "deltaplane_tokens";

/**
 * The body of one call of `POST /api/v1/events/batch` a line, of one tenant each, whose id is the subscription's external
 * id. Lago keeps one event per transaction id and timestamp, so both are always there.
 */
export const lago: Exporter = async function* ({ ledger, tenantIds, since, until }) {
  for (const tenantId of tenantIds) {
    let batch: object[] = [];
    for await (const event of events()) {
      batch.push({ ...event, external_subscription_id: tenantId, code: METRIC_CODE });
      if (batch.length < BATCH_EVENTS_MAX) continue;
      yield line(batch);
      batch = [];
    }
    if (batch.length > 0) yield line(batch);

    async function* events() {
      for await (const charge of ledger.charges(tenantId, since, until)) yield requestEvent(charge);
      for (const correction of await ledger.corrections(tenantId, since, until)) yield correctionEvent(correction);
    }
  }
};

function line(events: readonly object[]): string {
  return `${JSON.stringify({ events })}\n`;
}

/** Numbers as text, so that none is rounded on the way. */
function requestEvent(charge: Charge): object {
  const { requestId, model, baseName, projectId, keyId } = charge;
  return {
    transaction_id: `${requestId}:${revisionOf(charge)}`,
    timestamp: unixSeconds(charge.admittedAt),
    precise_total_amount_cents: cents(charge.amount),
    properties: {
      tokens: String(charge.promptTokens + charge.completionTokens + charge.trainedTokens),
      ...{ model, base: baseName, project_id: projectId, key_id: keyId, price_version: String(charge.priceVersion) },
      prompt_tokens: String(charge.promptTokens),
      cached_tokens: String(charge.cachedTokens),
      completion_tokens: String(charge.completionTokens),
      ...(charge.trainedTokens > 0 && { trained_tokens: String(charge.trainedTokens) }),
    },
  };
}

function correctionEvent({ id, requestId, reason, amount, postedAt }: PostedCorrection): object {
  return {
    transaction_id: `correction:${id}`,
    timestamp: unixSeconds(postedAt),
    precise_total_amount_cents: cents(amount),
    properties: { tokens: "0", request_id: requestId, reason },
  };
}

/** With milliseconds, as text: Lago takes them so. */
function unixSeconds(at: number): string {
  return (at / 1000).toFixed(3);
}

const NANO_PER_CENT_DIGITS = 7;

/** "1234.56": exact, without trailing zeros. */
function cents(amount: NanoUsd): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(NANO_PER_CENT_DIGITS + 1, "0");
  const fraction = digits.slice(-NANO_PER_CENT_DIGITS).replace(/0+$/, "");
  return `${amount < 0n ? "-" : ""}${digits.slice(0, -NANO_PER_CENT_DIGITS)}${fraction === "" ? "" : `.${fraction}`}`;
}
