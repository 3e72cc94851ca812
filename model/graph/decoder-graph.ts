import { assert } from "#kernel";
import type { LinearSite } from "../base.ts";
import type { Checkpoint } from "../checkpoint/contract.ts";
import { attend, declareAttentionInputs, type KeyValue } from "./attention.ts";
import { type DecoderVariant, normalise, walkDecoder } from "./decoder-walk.ts";
import { DELTA_INPUTS, declareDeltaInputs, deltaChange, EVEN_TOKENS, SORTED_TOKENS, type TokenOrder } from "./delta-branch.ts";
import { FAMILIES, type Family } from "./family.ts";
import { GraphBuilder, type Value } from "./graph-builder.ts";
import { type DeltaSteps, type LinearFormat, LinearLayers } from "./linear.ts";
import { createRopeTable } from "./rope-table.ts";
import { type WeightData, WeightPlan } from "./weight-plan.ts";

/** Inputs and outputs beside those of attention and deltas. `N` is the number of tokens in a step, rows × tokens per row. */
export const DECODER_VALUES = {
  /** int64 [N]. */
  tokens: "tokens",
  /** int64 [rows, tokens]: the place of each token in its text. */
  positions: "positions",
  /** int64 [w], w ≥ 1: for which of the N tokens logits are wanted. */
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

/**
 * Builds the graph of one step for any number of rows, tokens, past positions and deltas; `linears` is the format of linear layers and
 * head. Results are the same to the bit whichever graph a step runs in that is for it.
 */
export function buildDecoderGraph(
  checkpoint: Checkpoint,
  linears: LinearFormat = { kind: "float32" },
  steps: DeltaSteps = "either",
): DecoderGraph {
  const graph = new GraphBuilder();
  const weights = new WeightPlan(checkpoint, graph);
  new Decoder(checkpoint, graph, weights, linears, steps).build();
  return { model: graph.finish(), readWeights: () => weights.read() };
}

/** What the walk through the layers needs of this graph. */
class Decoder implements DecoderVariant {
  readonly skipsInLayerNorm = false;
  readonly stacksGateAndUp: boolean;
  readonly #checkpoint: Checkpoint;
  readonly #family: Family;
  readonly #graph: GraphBuilder;
  readonly #weights: WeightPlan;
  readonly #layers: LinearLayers;
  readonly #steps: DeltaSteps;
  readonly #tokenOrder: TokenOrder;
  readonly #sites: ReadonlyMap<string, LinearSite>;
  readonly #newKeyValues: KeyValue[] = [];
  #rotate: (heads: Value) => Value = (heads) => heads;

  constructor(checkpoint: Checkpoint, graph: GraphBuilder, weights: WeightPlan, linears: LinearFormat, steps: DeltaSteps) {
    this.#checkpoint = checkpoint;
    this.#family = FAMILIES[checkpoint.config.architecture];
    this.#graph = graph;
    this.#weights = weights;
    this.#layers = new LinearLayers(graph, weights, linears, steps);
    this.#steps = steps;
    this.#tokenOrder = steps === "even" ? EVEN_TOKENS : SORTED_TOKENS;
    // What deltas add to either would have to be put together first.
    this.stacksGateAndUp = steps === "without" || steps === "either";
    this.#sites = new Map(checkpoint.info.linears.map((site) => [site.module, site]));
  }

  build(): void {
    const { config, info } = this.#checkpoint;
    const graph = this.#graph;
    const tokens = graph.input(DECODER_VALUES.tokens, "int64", ["tokens"]);
    const positions = graph.input(DECODER_VALUES.positions, "int64", ["rows", "span"]);
    const wanted = graph.input(DECODER_VALUES.wanted, "int64", ["wanted"]);
    declareAttentionInputs(graph, config);
    if (this.#steps === "either") graph.input(DELTA_INPUTS.active, "bool", []);
    if (this.#steps !== "without") declareDeltaInputs(graph, this.#tokenOrder, info.linears);

    this.#rotate = this.#rotation(positions);
    const logits = walkDecoder(this.#checkpoint, graph, this, { tokens, positions: graph.reshape(positions, [-1]), wanted });
    graph.output(DECODER_VALUES.logits, logits, "float32", ["wanted", config.vocabularySize]);
    const added = graph.op(
      "Concat",
      this.#newKeyValues.flatMap(({ key, value }) => [key, value]),
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

  stored(...names: readonly string[]): Value {
    return this.#weights.stored(...names);
  }

  attend(at: string, layer: number, fused: Value): Value {
    const { headNorms } = this.#family;
    const { output, added } = attend(this.#graph, this.#checkpoint.config, {
      layer,
      fused,
      normalise: (heads, which) =>
        headNorms ? normalise(this.#checkpoint, this.#graph, this, `${at}${headNorms[which]}`, heads, undefined)[0] : heads,
      rotate: this.#rotate,
    });
    this.#newKeyValues.push(added);
    return output;
  }

  /** How heads of the given tokens are rotated, [rows, heads, span, headSize] to the same shape; not at all where positions are learned. */
  #rotation(positions: Value): (heads: Value) => Value {
    const { rope, headSize, contextTokensMax } = this.#checkpoint.config;
    if (!rope) return (heads) => heads;
    const { cosines, sines } = createRopeTable(rope, headSize, contextTokensMax);
    const shape = [contextTokensMax, headSize / 2];
    const tables = [this.#weights.computed("rope.cosines", shape, cosines), this.#weights.computed("rope.sines", shape, sines)];
    return (heads) => this.#graph.fused("RotaryEmbedding", [heads, positions, ...tables]);
  }

  /** Linear layers that share their input, computed as one: x [N, inputSize] to [N, Σ outputSize], deltas included. */
  linears(at: string, modules: readonly string[], x: Value): Value {
    const names = modules.map((module) => `${at}${module}`);
    const sites = names.map((name) => this.#site(name));
    return this.#layers.apply({
      names: names.map((name) => `${name}.weight`),
      order: this.#family.weightOrder,
      inputSize: sites[0]!.inputSize,
      outputSize: sites.reduce((sum, { outputSize }) => sum + outputSize, 0),
      x,
      tokens: DECODER_VALUES.tokens,
      bias: this.#weights.has(`${names[0]}.bias`) ? this.#weights.stored(...names.map((name) => `${name}.bias`)) : undefined,
      change: (branch) => deltaChange(branch, this.#tokenOrder, x, sites),
    });
  }

  /** Where head and embedding are tied, a quantised head lies beside the float32 rows that tokens are looked up in. */
  head(x: Value): Value {
    const { embedding, head } = this.#family;
    const { hiddenSize, vocabularySize, tiedEmbeddings } = this.#checkpoint.config;
    return this.#layers.apply({
      names: [`${tiedEmbeddings ? embedding : head}.weight`],
      order: "out_in",
      inputSize: hiddenSize,
      outputSize: vocabularySize,
      x,
      tokens: DECODER_VALUES.wanted,
    });
  }

  #site(module: string): LinearSite {
    const site = this.#sites.get(module);
    assert(site, `${module} is a linear layer of the base`);
    return site;
  }
}
