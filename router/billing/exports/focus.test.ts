import { expect, test } from "vitest";
import { z } from "zod";
import { parseUsd } from "#kernel";
import { exported, fill } from "../testing/exported.ts";
import { claimOf, NOON, openBooks } from "../testing/open-books.ts";
import { readCsv } from "../testing/read-csv.ts";

/** The mandatory columns of FOCUS 1.2. */
const MANDATORY = [
  ...[
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
  ],
  ...["ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName"],
  ...["ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"],
];

const decimal = z.string().regex(/^-?\d+(\.\d+)?$/);
const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
const filled = z.string().min(1);
const absent = z.literal("");

/** What the specification demands of every row: columns that must not be null, formats, closed lists of values. */
const Every = {
  ...{ BilledCost: decimal, EffectiveCost: decimal, ListCost: decimal, ContractedCost: decimal, BillingCurrency: z.literal("USD") },
  ...{ BillingAccountId: filled, BillingAccountName: z.string(), BillingAccountType: filled, InvoiceId: filled, InvoiceIssuerName: filled },
  ...{ BillingPeriodStart: time, BillingPeriodEnd: time, ChargePeriodStart: time, ChargePeriodEnd: time },
  ...{ ChargeClass: absent, ChargeDescription: filled, ProviderName: filled, PublisherName: filled, ServiceName: filled },
  ...{ ServiceCategory: z.literal("AI and Machine Learning"), ServiceSubcategory: z.literal("Generative AI"), ResourceName: absent },
};
/** A charge of the category "Usage" must have a price, a quantity and a SKU; what is null is null together. */
const Usage = z.strictObject({
  ...Every,
  ...{ ChargeCategory: z.literal("Usage"), ChargeFrequency: z.literal("Usage-Based"), PricingCategory: z.literal("Standard") },
  ...{ ListUnitPrice: decimal, ContractedUnitPrice: decimal, PricingQuantity: decimal, PricingUnit: z.literal("1000000 Tokens") },
  ...{
    ConsumedQuantity: z.string().regex(/^\d+$/),
    ConsumedUnit: z.literal("Tokens"),
    SkuId: filled,
    SkuMeter: filled,
    SkuPriceId: filled,
  },
  SkuPriceDetails: z.string().transform((text) => z.record(z.string().startsWith("x_"), z.string()).parse(JSON.parse(text))),
  ...{ ResourceId: filled, ResourceType: filled, SubAccountId: filled, SubAccountName: filled, SubAccountType: filled },
  x_CorrectionId: absent,
});
const Adjustment = z.strictObject({
  ...Every,
  ...{ ChargeCategory: z.literal("Adjustment"), ChargeFrequency: z.literal("One-Time"), PricingCategory: absent },
  ...{ ListUnitPrice: absent, ContractedUnitPrice: absent, PricingQuantity: absent, PricingUnit: absent, ConsumedQuantity: absent },
  ...{ ConsumedUnit: absent, SkuId: absent, SkuMeter: absent, SkuPriceId: absent, SkuPriceDetails: absent, ResourceId: absent },
  ...{ ResourceType: absent, SubAccountId: absent, SubAccountName: absent, SubAccountType: absent, x_CorrectionId: filled },
});
const Row = z.discriminatedUnion("ChargeCategory", [Usage, Adjustment]);

test("focus has every mandatory column, and rows that keep the specification's rules", async () => {
  await using books = await openBooks();
  await fill(books);
  const rows = readCsv((await exported(books, "focus")).text);
  expect(Object.keys(rows[0]!)).toEqual(expect.arrayContaining(MANDATORY));
  for (const row of rows.map((raw) => Row.parse(raw))) {
    for (const cost of ["EffectiveCost", "ListCost", "ContractedCost"] as const) expect(row[cost]).toBe(row.BilledCost);
    expect(row.BillingPeriodStart <= row.ChargePeriodStart && row.ChargePeriodEnd <= row.BillingPeriodEnd).toBe(true);
    if (row.ChargeCategory !== "Usage") continue;
    expect(row.SkuPriceId.startsWith(`${row.SkuId}/`)).toBe(true);
    // Unit price × quantity is the cost, exactly: both have up to nine places.
    const product = parseUsd(row.ListUnitPrice, "ListUnitPrice") * parseUsd(row.PricingQuantity, "PricingQuantity");
    expect(product).toBe(parseUsd(row.ListCost, "ListCost") * 1_000_000_000n);
    expect(parseUsd(row.PricingQuantity, "PricingQuantity")).toBe(BigInt(row.ConsumedQuantity) * 1000n);
  }
});

test("focus sums a day by project, model, base, price and kind of token, and says so", async () => {
  await using books = await openBooks();
  await fill(books);
  await books.ledger.post([claimOf("req_8", { at: NOON - 86_400_000, usage: [0, 0, 70] })]);
  const rows = readCsv((await exported(books, "focus")).text);
  expect(
    rows.map((row) =>
      [row["BillingAccountId"], row["ChargePeriodStart"]!.slice(0, 10), row["SkuPriceId"], row["ConsumedQuantity"], row["BilledCost"]].join(
        " ",
      ),
    ),
  ).toEqual([
    "acme 2026-11-22 demo-base/prompt/v1 600 0.00009",
    "acme 2026-11-22 demo-base/cached/v1 400 0.00003",
    "acme 2026-11-22 demo-base/completion/v1 570 0.000342",
    "acme 2026-11-22 demo-base/prompt/v2 10 0.000003",
    "acme 2026-11-23 demo-base/prompt/v3 100 0.000045",
    "acme 2026-11-23 demo-base/completion/v3 100 0.00018",
    "acme 2026-11-23 big-base/cached/v3 7 0.000001575",
    "acme 2026-11-23 big-base/completion/v3 1 0.000012601",
    "acme 2026-11-23   -0.001234567",
    "acme 2026-11-23   0.000000005",
    "acme 2026-11-24 demo-base/prompt/v0 5 0.00",
    "acme 2026-11-24 demo-base/completion/v0 5 0.00",
    "rival 2026-11-23 demo-base/prompt/v1 1 0.00000015",
    "rival 2026-11-23 demo-base/completion/v1 1 0.0000006",
  ]);
  expect(rows[0]).toMatchObject({ ListUnitPrice: "0.15", PricingQuantity: "0.0006", InvoiceId: "acme-2026-11", SubAccountId: "default" });
  expect(rows[8]).toMatchObject({ ChargeDescription: `'=SUM(A1:A9), "sorry"\n`, x_CorrectionId: "c-1" });
});

test("a day that is exported in part says which part", async () => {
  await using books = await openBooks();
  await fill(books);
  const [row] = readCsv((await exported(books, "focus", { since: NOON, until: NOON + 60_000 })).text);
  expect(row).toMatchObject({ ChargePeriodStart: "2026-11-23T12:00:00Z", ChargePeriodEnd: "2026-11-23T12:01:00Z" });
});
