export { type OpenedRow, PrefixCache, type PrefixText } from "./prefix-cache.ts";
export type { TextOwner } from "./text-chain.ts";
