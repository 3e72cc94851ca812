import { formatUsd, HOUR } from "#kernel";
import { dayOf, type Invoice, type RevenueReport } from "../../billing/index.ts";
import type { PriceRecord } from "../../catalog/index.ts";
import type { UsageDimension, UsageRow } from "../../ledger/index.ts";
import { formatPriceList, formatRate, type PricesWish } from "../../prices/index.ts";

/** What is billed, as JSON. Amounts are exact dollars as text: a number of JSON would round them. */

/** Only the dimensions that were asked for are there; null where no claim has said it yet. */
export function usageShape(by: readonly UsageDimension[], row: UsageRow) {
  const names: Readonly<Record<UsageDimension, object>> = {
    tenant: { tenant_id: row.tenantId ?? null },
    project: { project_id: row.projectId ?? null },
    key: { key_id: row.keyId ?? null },
    model: { model: row.model ?? null },
    base: { base: row.base ?? null },
    price: { price_version: row.priceVersion ?? null },
    day: { day: row.start === undefined ? null : dayOf(row.start) },
    hour: { start_ms: row.start ?? null },
    minute: { start_ms: row.start ?? null },
  };
  return {
    ...Object.assign({}, ...by.map((dimension) => names[dimension])),
    requests: row.requests,
    prompt_tokens: row.promptTokens,
    cached_tokens: row.cachedTokens,
    completion_tokens: row.completionTokens,
    trained_tokens: row.trainedTokens,
    amount_usd: formatUsd(row.amount),
  };
}

export function invoiceShape(invoice: Invoice) {
  const { tenantId, month, preliminary, head } = invoice;
  return {
    ...{ object: "invoice", tenant_id: tenantId, month, preliminary, position: head.position, hash: head.hash },
    total_usd: formatUsd(invoice.total),
    lines: invoice.lines.map(({ base, model, kind, priceVersion, tokens, rate, amount }) => ({
      ...{ base, model, kind, price_version: priceVersion, tokens },
      ...{ usd_per_million: formatRate(rate), amount_usd: formatUsd(amount) },
    })),
    corrections: invoice.corrections.map(({ id, requestId, reason, amount, postedAt }) => ({
      ...{ id, request_id: requestId ?? null, reason, amount_usd: formatUsd(amount), posted_at_ms: postedAt },
    })),
  };
}

export function revenueShape({ bases, tenants }: RevenueReport) {
  return {
    object: "revenue",
    bases: bases.map(({ base, revenue, tokens, nodeMs, nodeCost }) => ({
      ...{ base, tokens, revenue_usd: formatUsd(revenue), gpu_hours: nodeMs / HOUR, gpu_cost_usd: formatUsd(nodeCost) },
    })),
    tenants: tenants.map(({ tenantId, base, revenue, tokens, nodeMs, rentedMs, rentedCost }) => ({
      ...{ tenant_id: tenantId, base, tokens, revenue_usd: formatUsd(revenue), gpu_hours: nodeMs / HOUR },
      ...{ rented_gpu_hours: rentedMs / HOUR, rented_cost_usd: formatUsd(rentedCost) },
    })),
  };
}

/** Dollars per million tokens. */
export function priceListShape(record: PriceRecord) {
  const { version, plan, effectiveFromMs, defaultPrices, bases, gpuHourUsd } = formatPriceList(record);
  return {
    ...{ version, plan, effective_from_ms: effectiveFromMs, gpu_hour_usd: gpuHourUsd },
    default_prices: defaultPrices ? pricesShape(defaultPrices) : null,
    bases: Object.fromEntries(Object.entries(bases).map(([name, prices]) => [name, pricesShape(prices)])),
  };
}

function pricesShape({ prompt, cachedPrompt, completion, training }: PricesWish) {
  return { prompt, cached_prompt: cachedPrompt, completion, training };
}
