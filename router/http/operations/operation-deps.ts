import type { Journal, Meters } from "#state";
import type { SpendingDeps } from "../../billing/index.ts";
import type { Access, KeyUses } from "../../keys/index.ts";
import type { Ledger } from "../../ledger/index.ts";
import type { ModelDeps } from "../../models/index.ts";
import type { ClusterView, DeltaHeat, ResidencyHistory } from "../../nodes/index.ts";
import type { PriceLookup } from "../../prices/index.ts";

/** What the routes for accounts, money and the cluster open on: the same as the gRPC services of the same rules. */
export interface OperationDeps extends ModelDeps, SpendingDeps {
  readonly ledger: Ledger;
  readonly prices: PriceLookup;
  readonly journal: Journal;
  readonly meters: Meters;
  readonly access: Access;
  readonly keyUses: KeyUses;
  readonly cluster: ClusterView;
  readonly history: ResidencyHistory;
  readonly heat: DeltaHeat;
  readonly requestsRunning: () => number;
  readonly claimsPending: () => number;
  /** Of the program. */
  readonly version: string;
}
