import type { Millis, TenantId } from "#kernel";
import type { Ledger } from "../../ledger/index.ts";
import type { PriceLookup } from "../../prices/index.ts";

/** What is exported: requests by their time of admission and corrections by their time of posting. */
export interface ExportSource {
  readonly ledger: Pick<Ledger, "charges" | "corrections" | "usage">;
  readonly prices: PriceLookup;
  /** In order; a file holds one after the other. */
  readonly tenantIds: readonly TenantId[];
  /** Whole minutes, `until` excluded. */
  readonly since: Millis;
  readonly until: Millis;
}

/**
 * Writes a file, piece by piece. The same books give the same bytes: nothing of the clock or of chance is in it, and the
 * amounts of a tenant's closed month come to its invoice in every format. Holds a day of one tenant in memory at most.
 */
export type Exporter = (source: ExportSource) => AsyncIterable<string>;
