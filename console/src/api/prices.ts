import { get } from "./client.ts";

/** Dollars per million tokens, as text: exact. */
interface Prices {
  readonly prompt: string;
  readonly cached_prompt: string;
  readonly completion: string;
  readonly training: string;
}

/** `GET /v1/account/prices`: what tokens cost the caller now. Without a list everything is free. */
export interface PriceAnswer {
  readonly price_list: { readonly default_prices: Prices | null; readonly bases: Readonly<Record<string, Prices>> } | null;
}

/** Dollars per token. */
export interface Rates {
  readonly prompt: number;
  readonly cached: number;
  readonly completion: number;
  readonly training: number;
}

export interface CallUsage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

const FREE: Rates = { prompt: 0, cached: 0, completion: 0, training: 0 };
const PER_MILLION = 1_000_000;

export function getPrices(signal: AbortSignal): Promise<PriceAnswer> {
  return get<PriceAnswer>("/v1/account/prices", {}, signal);
}

export function ratesOf({ price_list: list }: PriceAnswer, base: string): Rates {
  const prices = list && ((Object.hasOwn(list.bases, base) ? list.bases[base] : undefined) ?? list.default_prices);
  if (!prices) return FREE;
  const rate = (text: string) => Number(text) / PER_MILLION;
  return {
    ...{ prompt: rate(prices.prompt), cached: rate(prices.cached_prompt) },
    ...{ completion: rate(prices.completion), training: rate(prices.training) },
  };
}

/** Dollars, as near as a number comes: the bill itself is exact, and the router's. */
export function priceOf(rates: Rates, { promptTokens, cachedTokens, completionTokens }: CallUsage): number {
  return (promptTokens - cachedTokens) * rates.prompt + cachedTokens * rates.cached + completionTokens * rates.completion;
}
