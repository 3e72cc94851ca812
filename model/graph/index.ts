export { ATTENTION_INPUTS, BLOCK_TOKENS, pastNames } from "./attention.ts";
export { buildDecoderGraph, DECODER_VALUES, type DecoderGraph } from "./decoder-graph.ts";
export { DELTA_INPUTS, deltaTableNames } from "./delta-branch.ts";
export { GraphBuilder } from "./graph-builder.ts";
export type { WeightData } from "./weight-plan.ts";
