import { assert } from "#kernel";
import type { LinearSite } from "../base.ts";
import type { Checkpoint, TensorLocation } from "../checkpoint/contract.ts";
import { ACTIVATIONS } from "./activations.ts";
import { FAMILIES, type Family } from "./family.ts";
import { GraphBuilder, type Value } from "./graph-builder.ts";
import { createRopeTable } from "./rope-table.ts";
import { type WeightData, WeightPlan } from "./weight-plan.ts";

/** Inputs and outputs beside the parameters. `N` is rows × span: texts of a batch are filled up on the right to one length. */
export const TRAINING_VALUES = {
  /** int64 [rows, span]. */
  tokens: "tokens",
  /** int64 [w]: the places in [0, N) that have a next token to be learned. */
  wanted: "wanted",
  /** int64 [w]: those next tokens. */
  targets: "targets",
  /** float32 [w]: what each of them counts in the loss. */
  weights: "weights",
  /** float32 []: the sum of weight × negative log-likelihood. */
  loss: "loss",
  /** float32 [w]: the negative log-likelihood of each target. */
  losses: "losses",
  /** float32 []: how many targets were the most likely token. */
  hits: "hits",
} as const;

/** A linear with a trainable delta: y += scale · (x · Aᵀ) · Bᵀ, A [rank, inputSize], B [outputSize, rank], as PEFT keeps them. */
export interface DeltaSite {
  readonly linear: LinearSite;
  readonly rank: number;
  readonly scale: number;
}

/** What is learned: deltas on some linears of a frozen base, or every weight of it. */
export type Trainable = { readonly kind: "delta"; readonly sites: readonly DeltaSite[] } | { readonly kind: "full" };

/** One learned tensor, an input of the graph: `<module>.lora_A`, `<module>.lora_B`, or the name in the checkpoint. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: ParameterStart;
}

/**
 * What a parameter is before the first step: the checkpoint's own values, or, as PEFT begins a delta, A uniform within
 * ±`bound` (1/√inputSize: Kaiming with a = √5) and B zero, so that at first nothing changes.
 */
export type ParameterStart = { readonly kind: "stored" } | { readonly kind: "uniform"; readonly bound: number } | { readonly kind: "zero" };

/** A base with a loss, not yet differentiated. */
export interface TrainingGraph {
  readonly graph: GraphBuilder;
  readonly loss: Value;
  readonly parameters: readonly Parameter[];
  /**
   * What stays as it is beside the linears, inputs of the graph like the parameters: the runtime reads inputs in place, and
   * would keep constants several times. The linears are constants, which it packs for both ways.
   */
  readonly frozen: ReadonlyMap<string, TensorLocation>;
  /** Of the constants. */
  readWeights(): Promise<readonly WeightData[]>;
}

/** Builds the forward pass and the loss over whole texts: no cache, and logits only where something is learned. */
export function buildTrainingGraph(checkpoint: Checkpoint, trainable: Trainable): TrainingGraph {
  const graph = new GraphBuilder();
  const constants = new WeightPlan(checkpoint, graph);
  const forward = new Forward(checkpoint, graph, constants, trainable);
  const loss = forward.build();
  const { frozen } = forward;
  return { graph, loss, parameters: [...forward.parameters.values()], frozen, readWeights: () => constants.read() };
}

class Forward {
  readonly parameters = new Map<string, Parameter>();
  readonly frozen = new Map<string, TensorLocation>();
  readonly #checkpoint: Checkpoint;
  readonly #family: Family;
  readonly #graph: GraphBuilder;
  readonly #constants: WeightPlan;
  readonly #full: boolean;
  readonly #sites: ReadonlyMap<string, DeltaSite>;

  constructor(checkpoint: Checkpoint, graph: GraphBuilder, constants: WeightPlan, trainable: Trainable) {
    this.#checkpoint = checkpoint;
    this.#family = FAMILIES[checkpoint.config.architecture];
    this.#graph = graph;
    this.#constants = constants;
    this.#full = trainable.kind === "full";
    this.#sites = new Map(trainable.kind === "delta" ? trainable.sites.map((site) => [site.linear.module, site]) : []);
  }

  build(): Value {
    const graph = this.#graph;
    const { config } = this.#checkpoint;
    const tokens = graph.input(TRAINING_VALUES.tokens, "int64", ["rows", "span"]);
    const wanted = graph.input(TRAINING_VALUES.wanted, "int64", ["wanted"]);
    const rotate = this.#rotation();
    const mask = this.#causalMask(tokens);
    const shape = graph.op("Shape", [tokens]);

    let x = this.#embed(tokens);
    for (let layer = 0; layer < config.layerCount; layer++) {
      const at = this.#family.layer(layer);
      const normed = this.#norm(`${at}${this.#family.attentionNorm}`, x);
      x = graph.op("Add", [x, this.#attention(at, normed, shape, mask, rotate)]);
      x = graph.op("Add", [x, this.#mlp(at, this.#norm(`${at}${this.#family.mlpNorm}`, x))]);
    }
    const last = this.#norm(this.#family.finalNorm, graph.op("Gather", [x, wanted], { axis: 0n }));
    const { embedding, head } = this.#family;
    const headWeight = this.#weight(`${config.tiedEmbeddings ? embedding : head}.weight`);
    return this.#loss(graph.fused("FusedMatMul", [last, headWeight], { transB: 1n }));
  }

  #loss(logits: Value): Value {
    const graph = this.#graph;
    const targets = graph.input(TRAINING_VALUES.targets, "int64", ["wanted"]);
    const weights = graph.input(TRAINING_VALUES.weights, "float32", ["wanted"]);
    const [losses, logShares] = graph.ops("SoftmaxCrossEntropyLoss", [logits, targets], 2, { reduction: "none" });
    const loss = graph.op("ReduceSum", [graph.op("Mul", [losses!, weights])], { keepdims: 0n });
    // A target was the most likely token where its own share is the largest; the largest is found faster than its place.
    const largest = graph.op("ReduceMax", [logShares!, graph.integers([-1])], { keepdims: 0n });
    const hit = graph.op("Cast", [graph.op("Equal", [graph.op("Neg", [losses!]), largest])], { to: 1n });
    graph.output(TRAINING_VALUES.loss, loss, "float32", []);
    graph.output(TRAINING_VALUES.losses, losses!, "float32", ["wanted"]);
    graph.output(TRAINING_VALUES.hits, graph.op("ReduceSum", [hit], { keepdims: 0n }), "float32", []);
    return loss;
  }

  /** [N, hiddenSize] */
  #embed(tokens: Value): Value {
    const { embedding, positions } = this.#family;
    const { hiddenSize } = this.#checkpoint.config;
    let x = this.#graph.op("Gather", [this.#weight(`${embedding}.weight`), tokens], { axis: 0n });
    if (positions) {
      const span = this.#graph.op("Gather", [this.#graph.op("Shape", [tokens]), this.#graph.integer(1)], { axis: 0n });
      const places = this.#graph.op("Range", [this.#graph.integer(0), span, this.#graph.integer(1)]);
      x = this.#graph.op("Add", [x, this.#graph.op("Gather", [this.#weight(`${positions}.weight`), places], { axis: 0n })]);
    }
    return this.#graph.reshape(x, [-1, hiddenSize]);
  }

  /** float32 [span, span]: a token looks at itself and what is before it. What fills up a row stands after all of its text. */
  #causalMask(tokens: Value): Value {
    const graph = this.#graph;
    const span = graph.op("Gather", [graph.op("Shape", [tokens]), graph.integers([1])], { axis: 0n });
    const square = graph.op("Concat", [span, span], { axis: 0n });
    const all = graph.op("Expand", [graph.float(MASKED), square]);
    return graph.op("Trilu", [all, graph.integer(1)], { upper: 1n });
  }

  #attention(at: string, x: Value, tokensShape: Value, mask: Value, rotate: (heads: Value) => Value): Value {
    const graph = this.#graph;
    const { headCount, kvHeadCount, headSize } = this.#checkpoint.config;
    const group = headCount / kvHeadCount;
    const shaped = (value: Value, heads: number) =>
      graph.op("Reshape", [value, graph.op("Concat", [tokensShape, graph.integers([heads, headSize])], { axis: 0n })]);
    const [query, key, value] = this.#queryKeyValue(at, x);
    const heads = (value: Value, count: number) => graph.transpose(shaped(value, count), [0, 2, 1, 3]);
    const queries = rotate(this.#headNorm(at, "query", heads(query!, headCount)));
    const keys = rotate(this.#headNorm(at, "key", heads(key!, kvHeadCount)));
    const values = heads(value!, kvHeadCount);
    // Query heads that share a key head stand one below the other, so that no key is repeated.
    const stacked = graph.op("Reshape", [queries, graph.integers([0, kvHeadCount, -1, headSize])]);
    const products = graph.fused("FusedMatMul", [stacked, keys], { transB: 1n, alpha: headSize ** -0.5 });
    const apart = graph.op(
      "Concat",
      [graph.integers([0, kvHeadCount, group, -1]), graph.op("Gather", [tokensShape, graph.integers([1])], { axis: 0n })],
      {
        axis: 0n,
      },
    );
    const scores = graph.op("Add", [graph.op("Reshape", [products, apart]), mask]);
    const shares = graph.op("Softmax", [scores], { axis: -1n });
    const mixed = graph.op("MatMul", [graph.op("Reshape", [shares, graph.op("Shape", [products])]), values]);
    const byHead = graph.op("Reshape", [mixed, graph.integers([0, headCount, -1, headSize])]);
    const output = graph.reshape(graph.transpose(byHead, [0, 2, 1, 3]), [-1, headCount * headSize]);
    return this.#linear(`${at}${this.#family.attentionOutput}`, output);
  }

  #queryKeyValue(at: string, x: Value): readonly Value[] {
    const { headCount, kvHeadCount, headSize } = this.#checkpoint.config;
    const { queryKeyValue } = this.#family;
    if (queryKeyValue.length === 3) return queryKeyValue.map((module) => this.#linear(`${at}${module}`, x));
    const fused = this.#linear(`${at}${queryKeyValue[0]}`, x);
    return this.#graph.split(fused, 1, [headCount * headSize, kvHeadCount * headSize, kvHeadCount * headSize]);
  }

  #headNorm(at: string, which: "query" | "key", heads: Value): Value {
    const { headNorms } = this.#family;
    return headNorms ? this.#norm(`${at}${headNorms[which]}`, heads) : heads;
  }

  #mlp(at: string, x: Value): Value {
    const { mlpInput, mlpOutput } = this.#family;
    const activate = ACTIVATIONS[this.#checkpoint.config.activation];
    const [gate, up] = mlpInput.map((module) => this.#linear(`${at}${module}`, x));
    const active = activate(this.#graph, gate!);
    return this.#linear(`${at}${mlpOutput}`, up === undefined ? active : this.#graph.op("Mul", [active, up]));
  }

  #norm(name: string, x: Value): Value {
    const scale = this.#weight(`${name}.weight`);
    const epsilon = this.#checkpoint.config.normEpsilon;
    // The outputs after the first are what the gradient needs.
    if (this.#family.norm === "layer")
      return this.#graph.ops("LayerNormalization", [x, scale, this.#weight(`${name}.bias`)], 3, { axis: -1n, epsilon })[0]!;
    return this.#graph.ops("SimplifiedLayerNormalization", [x, scale], 2, { axis: -1n, epsilon })[0]!;
  }

  /** Turns [rows, heads, span, headSize] by position; not at all where positions are learned. */
  #rotation(): (heads: Value) => Value {
    const { rope, headSize, contextTokensMax } = this.#checkpoint.config;
    if (!rope) return (heads) => heads;
    const { cosines, sines } = createRopeTable(rope, headSize, contextTokensMax);
    const shape = [contextTokensMax, headSize / 2];
    const tables = [this.#constants.computed("rope.cosines", shape, cosines), this.#constants.computed("rope.sines", shape, sines)];
    // One number: where the first token stands.
    return (heads) => this.#graph.fused("RotaryEmbedding", [heads, this.#graph.integers([0]), ...tables]);
  }

  /** x [N, inputSize] to [N, outputSize]. */
  #linear(module: string, x: Value): Value {
    const weight = this.#full ? this.#weight(`${module}.weight`) : this.#constants.stored(`${module}.weight`);
    const outIn = this.#family.weightOrder === "out_in";
    const product = outIn ? this.#graph.fused("FusedMatMul", [x, weight], { transB: 1n }) : this.#graph.op("MatMul", [x, weight]);
    const changed = this.#changed(module, x, product);
    return this.#constants.has(`${module}.bias`) ? this.#graph.op("Add", [changed, this.#weight(`${module}.bias`)]) : changed;
  }

  /** `product` with what the linear's trained delta adds, if it has one. */
  #changed(module: string, x: Value, product: Value): Value {
    const site = this.#sites.get(module);
    if (!site) return product;
    const { inputSize, outputSize } = site.linear;
    const a = this.#parameter(`${module}.lora_A`, [site.rank, inputSize], { kind: "uniform", bound: 1 / Math.sqrt(inputSize) });
    const b = this.#parameter(`${module}.lora_B`, [outputSize, site.rank], { kind: "zero" });
    const ranks = this.#graph.fused("FusedMatMul", [x, a], { transB: 1n });
    return this.#graph.op("Gemm", [ranks, b, product], { transB: 1n, alpha: site.scale });
  }

  /** A tensor of the checkpoint: a parameter where everything is learned. */
  #weight(name: string): Value {
    const tensor = this.#checkpoint.tensors.get(name);
    assert(tensor, `an opened checkpoint has all tensors of its architecture, but not ${name}`);
    if (!this.#full) {
      if (!this.frozen.has(name)) this.#graph.input(name, "float32", tensor.shape);
      this.frozen.set(name, tensor);
      return name;
    }
    return this.#parameter(name, tensor.shape, { kind: "stored" });
  }

  #parameter(name: string, shape: readonly number[], start: ParameterStart): Value {
    if (!this.parameters.has(name)) {
      this.parameters.set(name, { name, shape, start });
      this.#graph.input(name, "float32", shape);
    }
    return name;
  }
}

/** Far below any score, and still finite when scores are added to it. */
const MASKED = -1e9;
