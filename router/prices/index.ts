export { amountOf, FREE_VERSION, priceVersionAt, type Rates, ratesOf } from "./rates.ts";
