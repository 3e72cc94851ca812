export { Speculation } from "./speculation.ts";
export { type Continuation, TextLookup } from "./text-lookup.ts";
