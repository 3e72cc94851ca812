import { Fault, formatUsd, HOUR } from "#kernel";
import {
  UsageDimension as DimensionMessage,
  ExportFormat,
  type GetRevenueReportResponse,
  type Invoice as InvoiceMessage,
  type UsageRow as UsageRowMessage,
} from "#proto";
import { dayOf, EXPORTERS, type Exporter, type Invoice, type RevenueReport } from "../billing/index.ts";
import type { UsageDimension, UsageRow } from "../ledger/index.ts";
import { formatRate } from "../prices/index.ts";

/** What is billed, on the wire: amounts are exact dollars as text, absent names are empty. */

const DIMENSIONS: ReadonlyMap<DimensionMessage, UsageDimension> = new Map([
  [DimensionMessage.USAGE_DIMENSION_TENANT, "tenant"],
  [DimensionMessage.USAGE_DIMENSION_PROJECT, "project"],
  [DimensionMessage.USAGE_DIMENSION_KEY, "key"],
  [DimensionMessage.USAGE_DIMENSION_MODEL, "model"],
  [DimensionMessage.USAGE_DIMENSION_BASE, "base"],
  [DimensionMessage.USAGE_DIMENSION_PRICE_VERSION, "price"],
  [DimensionMessage.USAGE_DIMENSION_DAY, "day"],
  [DimensionMessage.USAGE_DIMENSION_HOUR, "hour"],
  [DimensionMessage.USAGE_DIMENSION_MINUTE, "minute"],
]);
const TIMES: ReadonlySet<UsageDimension> = new Set(["day", "hour", "minute"]);

const FORMATS: ReadonlyMap<ExportFormat, Exporter> = new Map([
  [ExportFormat.EXPORT_FORMAT_CSV, EXPORTERS.csv],
  [ExportFormat.EXPORT_FORMAT_FOCUS, EXPORTERS.focus],
  [ExportFormat.EXPORT_FORMAT_CLOUDEVENTS, EXPORTERS.cloudevents],
  [ExportFormat.EXPORT_FORMAT_STRIPE, EXPORTERS.stripe],
  [ExportFormat.EXPORT_FORMAT_LAGO, EXPORTERS.lago],
]);

/** @throws Fault parameter_invalid for what is no dimension, and for two of time */
export function dimensionsFromMessage(messages: readonly DimensionMessage[]): readonly UsageDimension[] {
  const dimensions = messages.map((message, index) => {
    const dimension = DIMENSIONS.get(message);
    if (!dimension) throw new Fault("parameter_invalid", `by[${index}] is no dimension`, { detail: { field: `by[${index}]` } });
    return dimension;
  });
  if (dimensions.filter((dimension) => TIMES.has(dimension)).length > 1) {
    throw new Fault("parameter_invalid", "by has more than one of day, hour and minute", { detail: { field: "by" } });
  }
  return [...new Set(dimensions)];
}

/** @throws Fault parameter_invalid */
export function exporterFromMessage(format: ExportFormat): Exporter {
  const exporter = FORMATS.get(format);
  if (!exporter) throw new Fault("parameter_invalid", "format is no export format", { detail: { field: "format" } });
  return exporter;
}

/** @param byDay whether the time was asked for by the day */
export function usageRowToMessage(row: UsageRow, byDay: boolean): UsageRowMessage {
  return {
    tenantId: row.tenantId ?? "",
    projectId: row.projectId ?? "",
    keyId: row.keyId ?? "",
    model: row.model ?? "",
    base: row.base ?? "",
    priceVersion: row.priceVersion ?? 0,
    day: byDay && row.start !== undefined ? dayOf(row.start) : "",
    startMs: row.start ?? 0,
    requests: row.requests,
    promptTokens: row.promptTokens,
    cachedTokens: row.cachedTokens,
    completionTokens: row.completionTokens,
    trainedTokens: row.trainedTokens,
    amountUsd: formatUsd(row.amount),
  };
}

export function invoiceToMessage(invoice: Invoice): InvoiceMessage {
  const { tenantId, month, preliminary, head } = invoice;
  return {
    ...{ tenantId, month, preliminary, position: head.position, hash: head.hash },
    totalUsd: formatUsd(invoice.total),
    lines: invoice.lines.map(({ base, model, kind, priceVersion, tokens, rate, amount }) => ({
      ...{ base, model, kind, priceVersion, tokens },
      ...{ usdPerMillion: formatRate(rate), amountUsd: formatUsd(amount) },
    })),
    corrections: invoice.corrections.map(({ id, requestId, reason, amount, postedAt }) => ({
      ...{ id, requestId: requestId ?? "", reason, amountUsd: formatUsd(amount), postedAtMs: postedAt },
    })),
  };
}

export function revenueToMessage({ bases, tenants }: RevenueReport): GetRevenueReportResponse {
  return {
    bases: bases.map(({ base, revenue, tokens, nodeMs, nodeCost }) => ({
      ...{ base, tokens, revenueUsd: formatUsd(revenue), gpuHours: nodeMs / HOUR, gpuCostUsd: formatUsd(nodeCost) },
    })),
    tenants: tenants.map(({ tenantId, base, revenue, tokens, nodeMs, rentedMs, rentedCost }) => ({
      ...{ tenantId, base, tokens, revenueUsd: formatUsd(revenue), gpuHours: nodeMs / HOUR },
      ...{ rentedGpuHours: rentedMs / HOUR, rentedCostUsd: formatUsd(rentedCost) },
    })),
  };
}
