import { assert } from "#kernel";
import type { LinearSite } from "../base.ts";
import type { Checkpoint } from "../checkpoint/contract.ts";
import { ACTIVATIONS } from "./activations.ts";
import { attend, declareAttentionInputs, type KeyValue } from "./attention.ts";
import { DELTA_INPUTS, declareDeltaInputs, declareDeltaTables, deltaChange } from "./delta-branch.ts";
import { FAMILIES, type Family } from "./family.ts";
import { GraphBuilder, type Value } from "./graph-builder.ts";
import { MICROSOFT } from "./onnx-model.ts";
import { createRopeTable } from "./rope-table.ts";
import { type WeightData, WeightPlan } from "./weight-plan.ts";

/** Inputs and outputs beside those of attention and deltas. `N` is the number of tokens in a step, rows × tokens per row. */
export const DECODER_VALUES = {
  /** int64 [N]. */
  tokens: "tokens",
  /** int64 [N]: the place of each token in its text. */
  positions: "positions",
  /** int64 [w]: for which of the N tokens logits are wanted. */
  wanted: "wanted",
  /** float32 [w, vocabularySize]. */
  logits: "logits",
  /** float32 [rows, layers × (key, value) × kvHeads, tokens, headSize]: what the step adds to the cache. */
  newKeyValues: "new_key_values",
} as const;

/** A base as a graph: the encoded model, and its weights in memory. */
export interface DecoderGraph {
  readonly model: Uint8Array;
  readWeights(): Promise<readonly WeightData[]>;
}

/** Builds the graph of one step for any number of rows, tokens, past positions and deltas. */
export function buildDecoderGraph(checkpoint: Checkpoint): DecoderGraph {
  const graph = new GraphBuilder();
  const weights = new WeightPlan(checkpoint, graph);
  new Decoder(checkpoint, graph, weights).build();
  return { model: graph.finish(), readWeights: () => weights.read() };
}

/** The walk through the layers. */
class Decoder {
  readonly #checkpoint: Checkpoint;
  readonly #family: Family;
  readonly #graph: GraphBuilder;
  readonly #weights: WeightPlan;
  readonly #sites: ReadonlyMap<string, LinearSite>;

  constructor(checkpoint: Checkpoint, graph: GraphBuilder, weights: WeightPlan) {
    this.#checkpoint = checkpoint;
    this.#family = FAMILIES[checkpoint.config.architecture];
    this.#graph = graph;
    this.#weights = weights;
    this.#sites = new Map(checkpoint.info.linears.map((site) => [site.module, site]));
  }

  build(): void {
    const { config, info } = this.#checkpoint;
    const graph = this.#graph;
    const tokens = graph.input(DECODER_VALUES.tokens, "int64", ["tokens"]);
    const positions = graph.input(DECODER_VALUES.positions, "int64", ["tokens"]);
    const wanted = graph.input(DECODER_VALUES.wanted, "int64", ["wanted"]);
    declareAttentionInputs(graph, config);
    declareDeltaInputs(graph);
    for (const site of info.linears) declareDeltaTables(graph, site);

    let residual = this.#embed(tokens, positions);
    let update: Value | undefined;
    const rotate = this.#rotation(positions);
    const newKeyValues: KeyValue[] = [];
    for (let layer = 0; layer < config.layerCount; layer++) {
      const at = this.#family.layer(layer);
      let normed: Value;
      [normed, residual] = this.#norm(`${at}${this.#family.attentionNorm}`, residual, update);
      const attended = this.#attention(at, layer, normed, rotate);
      newKeyValues.push(attended.added);
      [normed, residual] = this.#norm(`${at}${this.#family.mlpNorm}`, residual, attended.output);
      update = this.#mlp(at, normed);
    }
    assert(update, "a decoder has layers");
    const last = graph.op("Gather", [graph.op("Add", [residual, update]), wanted], { axis: 0n });
    const [normed] = this.#norm(this.#family.finalNorm, last, undefined);
    graph.output(DECODER_VALUES.logits, this.#head(normed), "float32", ["wanted", config.vocabularySize]);
    const added = graph.op(
      "Concat",
      newKeyValues.flatMap(({ key, value }) => [key, value]),
      { axis: 1n },
    );
    graph.output(DECODER_VALUES.newKeyValues, added, "float32", [
      "rows",
      config.layerCount * 2 * config.kvHeadCount,
      1,
      "span",
      config.headSize,
    ]);
  }

  #embed(tokens: Value, positions: Value): Value {
    const { embedding, positions: learned } = this.#family;
    const tokenPart = this.#graph.op("Gather", [this.#weights.stored(`${embedding}.weight`), tokens]);
    if (!learned) return tokenPart;
    return this.#graph.op("Add", [tokenPart, this.#graph.op("Gather", [this.#weights.stored(`${learned}.weight`), positions])]);
  }

  /** Adds `update` to the residual, if there is one, and normalises: [normed, residual]. */
  #norm(name: string, residual: Value, update: Value | undefined): [Value, Value] {
    const graph = this.#graph;
    const epsilon = this.#checkpoint.config.normEpsilon;
    const scale = this.#weights.stored(`${name}.weight`);
    const inputs = this.#family.norm === "layer" ? [scale, this.#weights.stored(`${name}.bias`)] : [scale];
    const [plain, skipping] =
      this.#family.norm === "layer"
        ? (["LayerNormalization", "SkipLayerNormalization"] as const)
        : (["SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"] as const);
    if (update === undefined) return [graph.op(plain, [residual, ...inputs], { axis: -1n, epsilon }), residual];
    const outputs = graph.ops(skipping, [residual, update, ...inputs], [true, false, false, true], { epsilon }, MICROSOFT);
    return [outputs[0]!, outputs[3]!];
  }

  #attention(at: string, layer: number, x: Value, rotate: (heads: Value) => Value): { readonly output: Value; readonly added: KeyValue } {
    const { queryKeyValue, attentionOutput, headNorms } = this.#family;
    const { config } = this.#checkpoint;
    const fused = this.#linears(at, queryKeyValue, x);
    const { output, added } = attend(this.#graph, config, {
      layer,
      fused,
      normalise: (heads, which) => (headNorms ? this.#norm(`${at}${headNorms[which]}`, heads, undefined)[0] : heads),
      rotate,
    });
    return { output: this.#linears(at, [attentionOutput], output), added };
  }

  /** How heads of the given tokens are rotated, [N, heads, 1, headSize] to the same shape; not at all where positions are learned. */
  #rotation(positions: Value): (heads: Value) => Value {
    const { rope, headSize, contextTokensMax } = this.#checkpoint.config;
    if (!rope) return (heads) => heads;
    const { cosines, sines } = createRopeTable(rope, headSize, contextTokensMax);
    const shape = [contextTokensMax, headSize / 2];
    const tables = [this.#weights.computed("rope.cosines", shape, cosines), this.#weights.computed("rope.sines", shape, sines)];
    const column = this.#graph.reshape(positions, [-1, 1]);
    return (heads) => this.#graph.fused("RotaryEmbedding", [heads, column, ...tables]);
  }

  #mlp(at: string, x: Value): Value {
    const { mlpInput, mlpOutput } = this.#family;
    const graph = this.#graph;
    const { activation, intermediateSize } = this.#checkpoint.config;
    let inner = this.#linears(at, mlpInput, x);
    if (mlpInput.length === 2) {
      const [gate, up] = graph.split(inner, 1, [intermediateSize, intermediateSize]);
      inner = graph.op("Mul", [ACTIVATIONS[activation](graph, gate!), up!]);
    } else {
      inner = ACTIVATIONS[activation](graph, inner);
    }
    return this.#linears(at, [mlpOutput], inner);
  }

  /** Linear layers that share their input, computed as one: x [N, inputSize] to [N, Σ outputSize], deltas included. */
  #linears(at: string, modules: readonly string[], x: Value): Value {
    const names = modules.map((module) => `${at}${module}`);
    const sites = names.map((name) => this.#site(name));
    const weight = this.#weights.stored(...names.map((name) => `${name}.weight`));
    const bias = this.#weights.has(`${names[0]}.bias`) ? this.#weights.stored(...names.map((name) => `${name}.bias`)) : undefined;
    const added = this.#graph.choose(
      DELTA_INPUTS.active,
      (branch) => {
        const change = deltaChange(branch, x, sites);
        return bias ? branch.op("Add", [change, bias]) : change;
      },
      (branch) => bias ?? branch.float(0),
    );
    return this.#graph.op("Gemm", [x, weight, added], { transB: this.#family.weightOrder === "out_in" ? 1n : 0n });
  }

  #head(x: Value): Value {
    const { embedding, head } = this.#family;
    const weight = this.#weights.stored(`${this.#checkpoint.config.tiedEmbeddings ? embedding : head}.weight`);
    return this.#graph.fused("FusedMatMul", [x, weight], { transB: 1n });
  }

  #site(module: string): LinearSite {
    const site = this.#sites.get(module);
    assert(site, `${module} is a linear layer of the base`);
    return site;
  }
}
