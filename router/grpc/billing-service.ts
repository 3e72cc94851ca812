import { Fault } from "#kernel";
import { type BillingServiceService, claimFromMessage, UsageDimension as DimensionMessage } from "#proto";
import type { Ledger, UsageDimension } from "#state";
import type { GuardedHandlers } from "./guard.ts";

/** What one message may hold: a batch of a node's outbox. */
const CLAIMS_MAX = 1000;

const DIMENSIONS: ReadonlyMap<DimensionMessage, UsageDimension> = new Map([
  [DimensionMessage.USAGE_DIMENSION_TENANT, "tenant"],
  [DimensionMessage.USAGE_DIMENSION_MODEL, "model"],
  [DimensionMessage.USAGE_DIMENSION_KEY, "key"],
  [DimensionMessage.USAGE_DIMENSION_DAY, "day"],
]);

export function billingHandlers(ledger: Ledger): GuardedHandlers<typeof BillingServiceService> {
  return {
    async getUsage({ by, sinceMs, untilMs }, { principal }) {
      const rows = await ledger.usage({
        by: by.map(dimensionOf),
        ...(principal.tenantId !== undefined && { tenantId: principal.tenantId }),
        ...(sinceMs !== 0 && { since: sinceMs }),
        ...(untilMs !== 0 && { until: untilMs }),
      });
      return { rows: rows.map((row) => ({ tenantId: "", model: "", keyId: "", day: "", ...row })) };
    },
    async submitClaims({ claims }) {
      if (claims.length > CLAIMS_MAX) {
        throw new Fault("parameter_invalid", `claims has ${claims.length} entries, more than ${CLAIMS_MAX}`, {
          detail: { field: "claims" },
        });
      }
      await ledger.post(claims.map(claimFromMessage));
      return {};
    },
  };
}

function dimensionOf(message: DimensionMessage, index: number): UsageDimension {
  const dimension = DIMENSIONS.get(message);
  if (!dimension) throw new Fault("parameter_invalid", `by[${index}] is no dimension`, { detail: { field: `by[${index}]` } });
  return dimension;
}
