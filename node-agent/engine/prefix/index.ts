export { type CachedText, type OpenedRow, PrefixCache, type PrefixText } from "./prefix-cache.ts";
export type { TextChain, TextOwner } from "./text-chain.ts";
