export type { ChatMessage, Detokenizer, TextCodec } from "./contract.ts";
export { createDetokenizer } from "./detokenizer.ts";
export { createStopMatcher, type StopMatcher } from "./stop-matcher.ts";
export { openTextCodec } from "./text-codec.ts";
