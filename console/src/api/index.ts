export { ask, get, pathOf, post, type Query, remove } from "./client.ts";
export { streamed } from "./event-stream.ts";
export { ApiFailure, failureFrom } from "./failure.ts";
export { baseOf, listModels, type Model } from "./models.ts";
export { type CallUsage, getPrices, type PriceAnswer, priceOf, type Rates, ratesOf } from "./prices.ts";
export { type Loaded, type Resource, useResource } from "./resource.ts";
export { saveFile } from "./save-file.ts";
