export { addPriceList, formatPriceList, formatRate, type PriceList, type PricesWish, parsePriceList } from "./price-list.ts";
export { type PriceLookup, priceLookup } from "./price-lookup.ts";
export { amountOf, FREE_VERSION, priceVersionAt, type Rates, ratesOf } from "./rates.ts";
