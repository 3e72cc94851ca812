import { assert } from "#kernel";
import type { Checkpoint } from "../checkpoint/contract.ts";
import { ACTIVATIONS } from "./activations.ts";
import { FAMILIES } from "./family.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";
import { MICROSOFT } from "./onnx-model.ts";

/** What the walk leaves to each graph: where constants come from, and how the heavy parts are computed. */
export interface DecoderVariant {
  /** Whether one node adds to the residual and takes the layer norm of it: few nodes count most on a device, not on the processor. */
  readonly skipsInLayerNorm: boolean;
  /** Whether gate and up are computed as one, and split: a product fewer, and a copy of both more. */
  readonly stacksGateAndUp: boolean;
  /** One tensor of the checkpoint, or several stacked along their first dimension. */
  stored(...names: readonly string[]): Value;
  /** Linears that share their input, with biases and deltas: x [N, inputSize] to [N, Σ outputSize]. */
  linears(at: string, modules: readonly string[], x: Value): Value;
  /** Queries, keys and values, [N, (headCount + 2 · kvHeads) · headSize], to what attention makes of them, [N, headCount · headSize]. */
  attend(at: string, layer: number, fused: Value): Value;
  /** [w, hiddenSize] to [w, vocabularySize]. */
  head(x: Value): Value;
}

export interface DecoderInputs {
  /** int64 [N]. */
  readonly tokens: Value;
  /** int64 [N]: the place of each token in its text. */
  readonly positions: Value;
  /** int64 [w]: for which of the N tokens logits are wanted. */
  readonly wanted: Value;
}

/** The walk through the layers of any family: from tokens to logits, [w, vocabularySize]. */
export function walkDecoder(checkpoint: Checkpoint, graph: GraphBuilder, variant: DecoderVariant, inputs: DecoderInputs): Value {
  const { config } = checkpoint;
  const family = FAMILIES[config.architecture];
  let residual = embed(checkpoint, graph, variant, inputs);
  let update: Value | undefined;
  for (let layer = 0; layer < config.layerCount; layer++) {
    const at = family.layer(layer);
    let normed: Value;
    [normed, residual] = normalise(checkpoint, graph, variant, `${at}${family.attentionNorm}`, residual, update);
    const attended = variant.attend(at, layer, variant.linears(at, family.queryKeyValue, normed));
    const output = variant.linears(at, [family.attentionOutput], attended);
    [normed, residual] = normalise(checkpoint, graph, variant, `${at}${family.mlpNorm}`, residual, output);
    update = feedForward(checkpoint, graph, variant, at, normed);
  }
  assert(update, "a decoder has layers");
  const last = graph.op("Gather", [graph.op("Add", [residual, update]), inputs.wanted], { axis: 0n });
  const [normed] = normalise(checkpoint, graph, variant, family.finalNorm, last, undefined);
  return variant.head(normed);
}

/** Adds `update` to the residual, if there is one, and normalises: [normed, residual]. */
export function normalise(
  { config }: Checkpoint,
  graph: GraphBuilder,
  variant: Pick<DecoderVariant, "stored" | "skipsInLayerNorm">,
  name: string,
  residual: Value,
  update: Value | undefined,
): [Value, Value] {
  const layerNorm = FAMILIES[config.architecture].norm === "layer";
  const epsilon = config.normEpsilon;
  const scale = variant.stored(`${name}.weight`);
  const inputs = layerNorm ? [scale, variant.stored(`${name}.bias`)] : [scale];
  const [plain, skipping] = layerNorm
    ? (["LayerNormalization", "SkipLayerNormalization"] as const)
    : (["SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"] as const);
  if (update === undefined) return [graph.op(plain, [residual, ...inputs], { axis: -1n, epsilon }), residual];
  if (layerNorm && !variant.skipsInLayerNorm) {
    const sum = graph.op("Add", [residual, update]);
    return [graph.op(plain, [sum, ...inputs], { axis: -1n, epsilon }), sum];
  }
  const outputs = graph.ops(skipping, [residual, update, ...inputs], [true, false, false, true], { epsilon }, MICROSOFT);
  return [outputs[0]!, outputs[3]!];
}

function embed({ config }: Checkpoint, graph: GraphBuilder, variant: DecoderVariant, { tokens, positions }: DecoderInputs): Value {
  const { embedding, positions: learned } = FAMILIES[config.architecture];
  const tokenPart = graph.op("Gather", [variant.stored(`${embedding}.weight`), tokens]);
  if (!learned) return tokenPart;
  return graph.op("Add", [tokenPart, graph.op("Gather", [variant.stored(`${learned}.weight`), positions])]);
}

function feedForward({ config }: Checkpoint, graph: GraphBuilder, variant: DecoderVariant, at: string, x: Value): Value {
  const { mlpInput, mlpOutput } = FAMILIES[config.architecture];
  const { activation, intermediateSize } = config;
  const sizes = mlpInput.map(() => intermediateSize);
  const isStacked = variant.stacksGateAndUp && sizes.length > 1;
  const [gate, up] = isStacked
    ? graph.split(variant.linears(at, mlpInput, x), 1, sizes)
    : mlpInput.map((module) => variant.linears(at, [module], x));
  const active = ACTIVATIONS[activation](graph, gate!);
  return variant.linears(at, [mlpOutput], up === undefined ? active : graph.op("Mul", [active, up]));
}
