import { DAY, HOUR, type Millis, type NanoUsd, type TenantId, type Tokens } from "#kernel";
import type { Journal } from "#state";
import { type CatalogView, STANDARD_PLAN } from "../catalog/index.ts";
import { type Ledger, readNodeHours, type UsageRow } from "../ledger/index.ts";
import { priceVersionAt } from "../prices/index.ts";
import { type Period, startOf } from "./period.ts";

/** What a base earned, and what the nodes cost that stood ready with it. */
export interface BaseRevenue {
  readonly base: string;
  readonly revenue: NanoUsd;
  readonly tokens: Tokens;
  readonly nodeMs: Millis;
  readonly nodeCost: NanoUsd;
}

/** What a tenant paid for a base, and what renting would have cost it. */
export interface TenantRevenue {
  readonly tenantId: TenantId;
  readonly base: string;
  readonly revenue: NanoUsd;
  readonly tokens: Tokens;
  /** Its share of the base's hours, by tokens. */
  readonly nodeMs: Millis;
  /** A GPU of its own for each model, in every hour in which the model was used. */
  readonly rentedMs: Millis;
  readonly rentedCost: NanoUsd;
}

export interface RevenueReport {
  readonly bases: readonly BaseRevenue[];
  readonly tenants: readonly TenantRevenue[];
}

export interface RevenueDeps {
  readonly ledger: Pick<Ledger, "usage">;
  readonly journal: Journal;
  readonly view: CatalogView;
}

/**
 * Sets what tokens earned beside what GPUs cost, at the price of a GPU hour in the standard plan's list of the time.
 * Whole UTC days; corrections are no revenue of a base and are left out.
 */
export async function revenueReport(deps: RevenueDeps, asked: Period, now: Millis): Promise<RevenueReport> {
  const period = { since: startOf(DAY, asked.since), until: startOf(DAY, asked.until + DAY - 1) };
  const hourPrice = (end: Millis) => gpuHourAt(deps.view, Math.min(end - 1, now));
  const bases = new Map<string, Mutable<BaseRevenue>>();
  const tenants = new Map<string, Mutable<TenantRevenue>>();
  const baseOf = (base: string) => kept(bases, base, () => ({ base, revenue: 0n, tokens: 0, nodeMs: 0, nodeCost: 0n }));

  for (const { base, start, nodeMs } of await readNodeHours(deps.journal, period.since, period.until)) {
    const sum = baseOf(base);
    sum.nodeMs += nodeMs;
    sum.nodeCost += costOf(nodeMs, hourPrice(start + DAY));
  }
  for (const day of await deps.ledger.usage({ ...period, by: ["day"] })) {
    for (const [row, hours] of await byTenant(deps.ledger, day.start!)) {
      const { tenantId, base } = row;
      const tokens = row.promptTokens + row.completionTokens + row.trainedTokens;
      const earned = baseOf(base!);
      const paid = kept(tenants, `${tenantId} ${base}`, () => ({
        ...{ tenantId: tenantId!, base: base!, revenue: 0n, tokens: 0, nodeMs: 0, rentedMs: 0, rentedCost: 0n },
      }));
      for (const sum of [earned, paid]) {
        sum.revenue += row.amount;
        sum.tokens += tokens;
      }
      paid.rentedMs += hours.length * HOUR;
      for (const start of hours) paid.rentedCost += hourPrice(start + HOUR);
    }
  }
  for (const paid of tenants.values()) {
    const { nodeMs, tokens } = bases.get(paid.base)!;
    paid.nodeMs = tokens === 0 ? 0 : (nodeMs * paid.tokens) / tokens;
  }
  return { bases: sorted(bases), tenants: sorted(tenants) };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A day's usage by tenant and base, each with the hours that its models were used in: an hour once per model. */
async function byTenant(ledger: RevenueDeps["ledger"], start: Millis): Promise<readonly (readonly [UsageRow, readonly Millis[]])[]> {
  const day = { since: start, until: start + DAY };
  const used = await ledger.usage({ ...day, by: ["tenant", "base", "model", "hour"] });
  const hours = Map.groupBy(used, ({ tenantId, base }) => `${tenantId} ${base}`);
  const sums = await ledger.usage({ ...day, by: ["tenant", "base"] });
  return sums.map((row) => [row, (hours.get(`${row.tenantId} ${row.base}`) ?? []).map((hour) => hour.start!)]);
}

/** The price in force; 0 where there is no list. */
function gpuHourAt(view: CatalogView, at: Millis): NanoUsd {
  const list = view.get("price", String(priceVersionAt(view, STANDARD_PLAN, at)));
  return BigInt(list?.gpuHour ?? 0);
}

/** Rounded down to a nano-dollar: a report, not a bill. */
function costOf(nodeMs: Millis, hourPrice: NanoUsd): NanoUsd {
  return (BigInt(Math.round(nodeMs)) * hourPrice) / BigInt(HOUR);
}

function kept<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}

function sorted<V>(map: ReadonlyMap<string, V>): readonly V[] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, value]) => value);
}
