export { type OpenedRow, PrefixCache, type PrefixText } from "./prefix-cache.ts";
