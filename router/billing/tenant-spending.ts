import type { Clock, NanoUsd } from "#kernel";
import type { Journal, Meters } from "#state";
import type { TenantRecord } from "../catalog/index.ts";
import type { Access } from "../keys/index.ts";
import { spentCounter } from "../ledger/index.ts";

/** What a tenant has in progress, and its money. */
export interface TenantSpending {
  /** Over all routers when it has a limit or a budget, else at this one. */
  readonly requestsRunning: number;
  /** Of its budget, by what is in progress. */
  readonly held: NanoUsd;
  /** In the budget's present period; without a budget, this month. */
  readonly spent: NanoUsd;
}

export interface SpendingDeps {
  readonly clock: Clock;
  readonly meters: Pick<Meters, "live">;
  readonly journal: Pick<Journal, "counters">;
  readonly access: Pick<Access, "runningFor">;
}

export async function tenantSpending(deps: SpendingDeps, tenant: TenantRecord): Promise<TenantSpending> {
  const counter = spentCounter(tenant.budget?.period ?? "month", deps.clock.now());
  const [live, [counters]] = await Promise.all([deps.meters.live(tenant.id), deps.journal.counters(tenant.id, [counter.group])]);
  return {
    // The store counts those that have a limit to count for.
    requestsRunning: Math.max(live.count, deps.access.runningFor(tenant.id)),
    held: live.held,
    spent: counters?.get(counter.name) ?? 0n,
  };
}
