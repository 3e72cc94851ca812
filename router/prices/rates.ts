import type { Millis, NanoUsd, Usage } from "#kernel";
import type { CatalogView, PriceRecord } from "../catalog/index.ts";

/** Nano-dollars per token. */
export interface Rates {
  readonly prompt: NanoUsd;
  /** Of prompt tokens that were not computed again. */
  readonly cached: NanoUsd;
  readonly completion: NanoUsd;
  readonly training: NanoUsd;
}

/** The version of no price list: everything is counted and costs nothing. */
export const FREE_VERSION = 0;

const FREE: Rates = { prompt: 0n, cached: 0n, completion: 0n, training: 0n };

/** The version by which a request that is admitted at `now` is priced: the latest of the plan that is in force. */
export function priceVersionAt(view: CatalogView, plan: string, now: Millis): number {
  let current: PriceRecord | undefined;
  for (const price of view.all("price")) {
    if (price.plan !== plan || price.effectiveFrom > now) continue;
    if (
      !current ||
      price.effectiveFrom > current.effectiveFrom ||
      (price.effectiveFrom === current.effectiveFrom && price.version > current.version)
    )
      current = price;
  }
  return current?.version ?? FREE_VERSION;
}

/** What a base's tokens cost by a price list. */
export function ratesOf(price: PriceRecord | undefined, baseName: string): Rates {
  if (!price) return FREE;
  const { prompt, cached, completion, training } = (Object.hasOwn(price.bases, baseName) && price.bases[baseName]) || price.default;
  return { prompt: BigInt(prompt), cached: BigInt(cached), completion: BigInt(completion), training: BigInt(training) };
}

/** Exact: whole tokens times whole nano-dollars. */
export function amountOf(rates: Rates, usage: Usage): NanoUsd {
  const computed = BigInt(usage.promptTokens - usage.cachedTokens);
  const prompts = computed * rates.prompt + BigInt(usage.cachedTokens) * rates.cached;
  return prompts + BigInt(usage.completionTokens) * rates.completion + BigInt(usage.trainedTokens ?? 0) * rates.training;
}
