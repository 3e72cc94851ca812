import { DAY, formatUsd, HOUR, MINUTE, type Millis, type NanoUsd, type TenantId, type Tokens } from "#kernel";
import { startOf, type TokenKind, tokensByPrice } from "../billing/index.ts";
import type { Ledger, PostedCorrection, UsageDimension, UsageRow } from "../ledger/index.ts";
import type { PriceLookup } from "../prices/index.ts";
import { cursorTo, type PageQuery } from "./usage-query.ts";

/** OpenAI's page of buckets; times in seconds. A bucket in which nothing happened has no results. */
export interface UsagePage {
  readonly object: "page";
  readonly data: readonly Bucket[];
  readonly has_more: boolean;
  readonly next_page: string | null;
}

interface Bucket {
  readonly object: "bucket";
  readonly start_time: number;
  readonly end_time: number;
  readonly results: readonly object[];
}

type Reader = Pick<Ledger, "usage" | "corrections" | "tenants">;
/** Of one tenant; an operator's key sees all of them together. */
type Whose = TenantId | undefined;

const WIDTHS: ReadonlyMap<Millis, UsageDimension> = new Map([
  [MINUTE, "minute"],
  [HOUR, "hour"],
  [DAY, "day"],
]);

/** `GET /v1/organization/usage/completions`: `input_tokens` includes the cached ones. */
export async function usagePage(ledger: Reader, tenantId: Whose, query: PageQuery): Promise<UsagePage> {
  const { groupBy, models, since, until } = query;
  const by = new Set<UsageDimension>([WIDTHS.get(query.widthMs)!, ...namedDimensions(query)]);
  if (groupBy.has("model") || models) by.add("model");
  const rows = await ledger.usage({ since, until, by: [...by], ...(tenantId !== undefined && { tenantId }) });
  const fitting = rows.filter((row) => fits(query, row) && (!models || models.has(row.model ?? "")));
  const key = (row: UsageRow) => named(query, row, { model: groupBy.has("model") ? (row.model ?? null) : null });
  return pageOf(
    query,
    fitting,
    (row) => row.start!,
    key,
    (names, group) => {
      const sum = (tokens: (row: UsageRow) => Tokens) => group.reduce((total, row) => total + tokens(row), 0);
      return {
        object: "organization.usage.completions.result",
        input_tokens: sum((row) => row.promptTokens),
        output_tokens: sum((row) => row.completionTokens),
        input_cached_tokens: sum((row) => row.cachedTokens),
        input_uncached_tokens: sum((row) => row.promptTokens - row.cachedTokens),
        input_cache_write_tokens: 0,
        input_audio_tokens: 0,
        output_audio_tokens: 0,
        num_model_requests: sum((row) => row.requests),
        ...names,
        batch: groupBy.has("batch") ? false : null,
        service_tier: groupBy.has("service_tier") ? "default" : null,
      };
    },
  );
}

/** Tokens of one kind with a price, or corrections; what a line of OpenAI's costs tells. */
interface CostItem {
  readonly start: Millis;
  readonly projectId?: string;
  readonly keyId?: string;
  readonly lineItem: string;
  /** Undefined for a correction. */
  readonly tokens: Tokens | undefined;
  readonly amount: NanoUsd;
}

const LINE_ITEMS: Readonly<Record<TokenKind, string>> = {
  prompt: "input_tokens",
  cached: "cached_input_tokens",
  completion: "output_tokens",
  training: "trained_tokens",
};
const CORRECTIONS = "corrections";

/**
 * `GET /v1/organization/costs`: what was charged each day, and corrections on the day they were posted, so that the days
 * of a month come to its invoice. A line item is `<model>, input_tokens` (`cached_input_tokens`, `output_tokens`, `trained_tokens`).
 */
export async function costsPage(
  deps: { readonly ledger: Reader; readonly prices: PriceLookup },
  tenantId: Whose,
  query: PageQuery,
): Promise<UsagePage> {
  const { groupBy, lineItems } = query;
  const items = [...(await usedItems(deps, tenantId, query)), ...(await correctedItems(deps.ledger, tenantId, query))];
  const fitting = items.filter((item) => fits(query, item) && (!lineItems || lineItems.has(item.lineItem)));
  const key = (item: CostItem) => named(query, item, { line_item: groupBy.has("line_item") ? item.lineItem : null });
  return pageOf(
    query,
    fitting,
    (item) => item.start,
    key,
    (names, group) => {
      const value = Number(formatUsd(group.reduce((sum, { amount }) => sum + amount, 0n)));
      const counted = groupBy.has("line_item") && group.every(({ tokens }) => tokens !== undefined);
      const quantity = counted ? group.reduce((sum, { tokens = 0 }) => sum + tokens, 0) : null;
      return {
        ...{ object: "organization.costs.result", amount: { value, currency: "usd" }, ...names },
        ...{ quantity, quantity_unit: counted ? "tokens" : null },
      };
    },
  );
}

async function usedItems(
  { ledger, prices }: { readonly ledger: Reader; readonly prices: PriceLookup },
  tenantId: Whose,
  query: PageQuery,
): Promise<readonly CostItem[]> {
  const by: UsageDimension[] = ["day", "base", "price", "model", ...namedDimensions(query)];
  const rows = await ledger.usage({ since: query.since, until: query.until, by, ...(tenantId !== undefined && { tenantId }) });
  return (await tokensByPrice(rows, prices)).map(({ row, kind, tokens, amount }) => ({
    start: row.start!,
    ...(row.projectId !== undefined && { projectId: row.projectId }),
    ...(row.keyId !== undefined && { keyId: row.keyId }),
    ...{ lineItem: `${row.model ?? row.base}, ${LINE_ITEMS[kind]}`, tokens, amount },
  }));
}

async function correctedItems(ledger: Reader, tenantId: Whose, { since, until, widthMs }: PageQuery): Promise<readonly CostItem[]> {
  const corrections: PostedCorrection[] = [];
  for (const id of tenantId === undefined ? await ledger.tenants() : [tenantId]) {
    corrections.push(...(await ledger.corrections(id, since, until)));
  }
  return corrections.map(({ postedAt, amount }) => ({
    ...{ start: startOf(widthMs, postedAt), lineItem: CORRECTIONS, tokens: undefined, amount },
  }));
}

/** What the rows must tell so that they can be grouped and filtered. */
function namedDimensions({ groupBy, projectIds, apiKeyIds }: PageQuery): readonly UsageDimension[] {
  return [
    ...(groupBy.has("project_id") || projectIds ? (["project"] as const) : []),
    ...(groupBy.has("api_key_id") || apiKeyIds ? (["key"] as const) : []),
  ];
}

interface Named {
  readonly projectId?: string;
  readonly keyId?: string;
}

/** There are no users of a tenant, and no batches: who asks for theirs only, gets nothing. */
function fits({ projectIds, apiKeyIds, userIds, batch }: PageQuery, { projectId = "", keyId = "" }: Named): boolean {
  return (!projectIds || projectIds.has(projectId)) && (!apiKeyIds || apiKeyIds.has(keyId)) && !userIds && batch !== true;
}

/** The fields that tell what a result is of; null where it was not asked for. */
function named({ groupBy }: PageQuery, { projectId, keyId }: Named, own: object): object {
  return {
    project_id: groupBy.has("project_id") ? (projectId ?? null) : null,
    user_id: null,
    api_key_id: groupBy.has("api_key_id") ? (keyId ?? null) : null,
    api_source: groupBy.has("api_source") ? "unlabeled" : null,
    ...own,
  };
}

/** Puts rows into buckets, and those of a bucket into groups with the same names, in the order of the names. */
function pageOf<Row>(
  query: PageQuery,
  rows: readonly Row[],
  startOfRow: (row: Row) => Millis,
  names: (row: Row) => object,
  result: (names: object, group: readonly Row[]) => object,
): UsagePage {
  const byBucket = Map.groupBy(rows, startOfRow);
  const data: Bucket[] = [];
  for (let start = startOf(query.widthMs, query.since); start < query.until; start += query.widthMs) {
    const groups = Map.groupBy(byBucket.get(start) ?? [], (row) => JSON.stringify(names(row)));
    data.push({
      object: "bucket",
      start_time: Math.max(start, query.since) / 1000,
      end_time: Math.min(start + query.widthMs, query.until) / 1000,
      results: [...groups].sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, group]) => result(JSON.parse(key) as object, group)),
    });
  }
  const more = query.until < query.end;
  return { object: "page", data, has_more: more, next_page: more ? cursorTo(query.until) : null };
}
