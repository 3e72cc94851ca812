export { ATTENTION_INPUTS, BLOCK_TOKENS, pastNames } from "./attention.ts";
export type { BlockFormat } from "./block-quantiser.ts";
export { buildDecoderGraph, DECODER_VALUES, type DecoderGraph } from "./decoder-graph.ts";
export { DELTA_INPUTS, deltaTableNames } from "./delta-branch.ts";
export { buildDeviceGraph, type DeltaPart, type DevicePhase } from "./device-decoder-graph.ts";
export { buildDeltaUpload, DELTA_PAGES, DEVICE_DELTA_PART, PAGE_RANKS, UPLOAD_VALUES } from "./device-delta-branch.ts";
export { DEVICE_VALUES, type DeviceFloat, NUMBER_TYPES, presentNames } from "./device-values.ts";
export { type DeviceConstant, type DeviceWeight, DeviceWeights } from "./device-weights.ts";
export { GraphBuilder, type Value } from "./graph-builder.ts";
export type { DeltaSteps, LinearFormat } from "./linear.ts";
export { type Dimension, type GraphSpec, MICROSOFT, type NodeSpec } from "./onnx-model.ts";
export { outputTopLogits, TOP_LOGITS, TOP_VALUES, topCount } from "./top-logits.ts";
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
