import { formatUsd, type NanoUsd, type TenantId } from "#kernel";
import type { PostedCorrection, UsageRow } from "../../ledger/index.ts";
import { formatRate } from "../../prices/index.ts";
import { isoSecond, monthOf, monthPeriod, type Period } from "../period.ts";
import { type PricedTokens, type TokenKind, tokensByPrice } from "../priced-tokens.ts";
import type { Exporter } from "./contract.ts";
import { daysOf } from "./days.ts";
import { csvRow, numberCell, textCell } from "./delimited.ts";

/** FOCUS 1.2, https://focus.finops.org: what a row tells. An empty cell is FOCUS's null. */
interface Row {
  readonly tenantId: TenantId;
  /** The UTC day, or the part of it that was exported. */
  readonly period: Period;
  readonly amount: NanoUsd;
  readonly description: string;
  readonly usage?: UsageRow & { readonly priced: PricedTokens };
  readonly correction?: PostedCorrection;
}

const METER_NAMES: Readonly<Record<TokenKind, string>> = {
  prompt: "Prompt tokens",
  cached: "Cached prompt tokens",
  completion: "Completion tokens",
  training: "Trained tokens",
};

const constant = (text: string) => () => textCell(text);
const onUsage = (cell: (usage: NonNullable<Row["usage"]>) => string) => (row: Row) => (row.usage ? cell(row.usage) : "");
const amount = (row: Row) => numberCell(formatUsd(row.amount));
/** In dollars per million tokens, of which a nano-dollar per token is a thousandth. */
const unitPrice = onUsage(({ priced }) => numberCell(formatRate(priced.rate)));
const sku = ({ base, priced }: NonNullable<Row["usage"]>) => `${base}/${priced.kind}`;
const billingPeriod = ({ period }: Row) => monthPeriod(monthOf(period.since));

/** Every mandatory column, and of the conditional ones those whose condition holds here. */
const COLUMNS: readonly (readonly [id: string, cell: (row: Row) => string])[] = [
  ["BilledCost", amount],
  ["BillingAccountId", ({ tenantId }) => textCell(tenantId)],
  ["BillingAccountName", constant("")],
  ["BillingAccountType", constant("Tenant")],
  ["BillingCurrency", constant("USD")],
  ["BillingPeriodEnd", (row) => textCell(isoSecond(billingPeriod(row).until))],
  ["BillingPeriodStart", (row) => textCell(isoSecond(billingPeriod(row).since))],
  ["ChargeCategory", ({ correction }) => textCell(correction ? "Adjustment" : "Usage")],
  ["ChargeClass", constant("")],
  ["ChargeDescription", ({ description }) => textCell(description)],
  ["ChargeFrequency", ({ correction }) => textCell(correction ? "One-Time" : "Usage-Based")],
  ["ChargePeriodEnd", ({ period }) => textCell(isoSecond(period.until))],
  ["ChargePeriodStart", ({ period }) => textCell(isoSecond(period.since))],
  ["ConsumedQuantity", onUsage(({ priced }) => numberCell(priced.tokens))],
  ["ConsumedUnit", onUsage(constant("Tokens"))],
  ["ContractedCost", amount],
  ["ContractedUnitPrice", unitPrice],
  ["EffectiveCost", amount],
  ["InvoiceId", ({ tenantId, period }) => textCell(`${tenantId}-${monthOf(period.since)}`)],
  ["InvoiceIssuerName", constant("Deltaplane")],
  ["ListCost", amount],
  ["ListUnitPrice", unitPrice],
  ["PricingCategory", onUsage(constant("Standard"))],
  ["PricingQuantity", onUsage(({ priced }) => numberCell(millions(priced.tokens)))],
  ["PricingUnit", onUsage(constant("1000000 Tokens"))],
  ["ProviderName", constant("Deltaplane")],
  ["PublisherName", constant("Deltaplane")],
  ["ResourceId", onUsage(({ model }) => textCell(model))],
  ["ResourceName", constant("")],
  ["ResourceType", onUsage(({ model }) => (model === undefined ? "" : textCell("Model")))],
  ["ServiceCategory", constant("AI and Machine Learning")],
  ["ServiceName", constant("Deltaplane Inference")],
  ["ServiceSubcategory", constant("Generative AI")],
  ["SkuId", onUsage((usage) => textCell(sku(usage)))],
  ["SkuMeter", onUsage(({ priced }) => textCell(METER_NAMES[priced.kind]))],
  ["SkuPriceDetails", onUsage((usage) => textCell(JSON.stringify({ x_Base: usage.base, x_PriceVersion: String(usage.priceVersion) })))],
  ["SkuPriceId", onUsage((usage) => textCell(`${sku(usage)}/v${usage.priceVersion}`))],
  ["SubAccountId", onUsage(({ projectId }) => textCell(projectId))],
  ["SubAccountName", onUsage(({ projectId }) => textCell(projectId))],
  ["SubAccountType", onUsage(({ projectId }) => (projectId === undefined ? "" : textCell("Project")))],
  ["x_CorrectionId", ({ correction }) => textCell(correction?.id)],
];

/** One row per tenant, day, project, model, base, price version and kind of token, then one per correction of the day. */
export const focus: Exporter = async function* (source) {
  yield csvRow(COLUMNS.map(([id]) => id));
  for (const tenantId of source.tenantIds) {
    for await (const day of daysOf(source, tenantId, ["project", "model", "base", "price"])) {
      const period = { since: day.since, until: day.until };
      const row = (of: Omit<Row, "tenantId" | "period">) => csvRow(COLUMNS.map(([, cell]) => cell({ tenantId, period, ...of })));
      for (const { row: usage, ...priced } of await tokensByPrice([...day.rows].sort(inOrder), source.prices)) {
        const description = `${METER_NAMES[priced.kind]} of ${usage.model ?? usage.base}`;
        yield row({ amount: priced.amount, description, usage: { ...usage, priced } });
      }
      for (const correction of day.corrections) yield row({ amount: correction.amount, description: correction.reason, correction });
    }
  }
};

function inOrder(one: UsageRow, other: UsageRow): number {
  const key = ({ projectId, model, base, priceVersion }: UsageRow) => JSON.stringify([projectId ?? "", model ?? "", base, priceVersion]);
  return key(one) < key(other) ? -1 : 1;
}

/** "1.234567": exact. */
function millions(tokens: number): string {
  return formatUsd(BigInt(tokens) * 1_000n, 0);
}
