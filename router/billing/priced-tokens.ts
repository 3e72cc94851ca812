import { Fault, type NanoUsd, type Tokens, type Usage } from "#kernel";
import type { PriceRecord } from "../catalog/index.ts";
import { FREE_VERSION, type PriceLookup, type Rates, ratesOf } from "../prices/index.ts";

/** What has a price of its own: prompt tokens that were computed, prompt tokens that were not, completion tokens, trained tokens. */
export type TokenKind = "prompt" | "cached" | "completion" | "training";

/** Tokens of one kind, with their price and what they come to. */
export interface PricedTokens {
  readonly kind: TokenKind;
  readonly tokens: Tokens;
  /** Nano-dollars per token. */
  readonly rate: NanoUsd;
  /** Exactly tokens × rate. */
  readonly amount: NanoUsd;
}

/** Price lists by version. */
export type PriceLists = ReadonlyMap<number, PriceRecord>;

/** The price lists that rows refer to; those that do not exist are absent. */
export async function priceListsOf(rows: readonly { readonly priceVersion?: number }[], lookup: PriceLookup): Promise<PriceLists> {
  const lists = new Map<number, PriceRecord>();
  for (const { priceVersion = FREE_VERSION } of rows) {
    const list = lists.get(priceVersion) ?? (priceVersion === FREE_VERSION ? undefined : await lookup(priceVersion));
    if (list) lists.set(priceVersion, list);
  }
  return lists;
}

/**
 * What a base's tokens cost in a version.
 * @throws Fault checksum_mismatch for a version that does not exist: what was used by it must not be billed as free
 */
export function ratesIn(lists: PriceLists, version: number, base: string): Rates {
  const list = lists.get(version);
  if (!list && version !== FREE_VERSION)
    throw new Fault("checksum_mismatch", `the book refers to price list ${version}, which does not exist`);
  return ratesOf(list, base);
}

/** The four kinds of a usage, priced; in this order, also those without tokens. */
export function pricedTokens(usage: Usage, rates: Rates): readonly PricedTokens[] {
  const priced = (kind: TokenKind, tokens: Tokens): PricedTokens => ({
    ...{ kind, tokens, rate: rates[kind] },
    amount: BigInt(tokens) * rates[kind],
  });
  return [
    priced("prompt", usage.promptTokens - usage.cachedTokens),
    priced("cached", usage.cachedTokens),
    priced("completion", usage.completionTokens),
    priced("training", usage.trainedTokens ?? 0),
  ];
}

/** Rows by base and price version, taken apart by kinds; kinds without tokens are left out. */
export async function tokensByPrice<Row extends PricedRow>(
  rows: readonly Row[],
  lookup: PriceLookup,
): Promise<readonly (PricedTokens & { readonly row: Row })[]> {
  const lists = await priceListsOf(rows, lookup);
  return rows.flatMap((row) =>
    pricedTokens(row, ratesIn(lists, row.priceVersion ?? FREE_VERSION, row.base ?? ""))
      .filter(({ tokens }) => tokens !== 0)
      .map((priced) => ({ row, ...priced })),
  );
}

interface PricedRow extends Usage {
  readonly base?: string;
  readonly priceVersion?: number;
}
