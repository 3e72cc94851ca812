export type { ChatMessage, TextCodec } from "./contract.ts";
export { createDetokenizer } from "./detokenizer.ts";
export { createStopMatcher } from "./stop-matcher.ts";
export { openTextCodec } from "./text-codec.ts";
