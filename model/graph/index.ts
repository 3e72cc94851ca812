export { ATTENTION_INPUTS, BLOCK_TOKENS, pastNames } from "./attention.ts";
export { buildDecoderGraph, DECODER_VALUES, type DecoderGraph } from "./decoder-graph.ts";
export { DELTA_INPUTS, deltaTableNames } from "./delta-branch.ts";
export { GraphBuilder, type Value } from "./graph-builder.ts";
export type { Dimension, GraphSpec, NodeSpec } from "./onnx-model.ts";
export {
  buildTrainingGraph,
  type DeltaSite,
  type Parameter,
  type ParameterStart,
  TRAINING_VALUES,
  type Trainable,
  type TrainingGraph,
} from "./training-graph.ts";
export type { WeightData } from "./weight-plan.ts";
