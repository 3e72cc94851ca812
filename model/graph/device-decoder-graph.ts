import { assert } from "#kernel";
import type { LinearSite } from "../base.ts";
import type { Checkpoint } from "../checkpoint/contract.ts";
import { type DecoderVariant, normalise, walkDecoder } from "./decoder-walk.ts";
import { DEVICE_VALUES, type DeviceFloat, presentNames } from "./device-values.ts";
import type { DeviceWeights } from "./device-weights.ts";
import { FAMILIES } from "./family.ts";
import { GraphBuilder, type Value } from "./graph-builder.ts";
import { blockProduct } from "./linear.ts";
import type { MatrixShape } from "./matrix.ts";
import { MICROSOFT } from "./onnx-model.ts";
import { createRopeTable } from "./rope-table.ts";
import { outputTopLogits } from "./top-logits.ts";

/**
 * Which graph: `decode` has one token of each of several rows, whose cache it reads and writes where it lies; `chunk` has
 * several tokens of one row.
 */
export type DevicePhase = "decode" | "chunk";

/** How the graph adds the deltas of its tokens: declares its inputs, and computes the change of linears that share `x`. */
export interface DeltaPart {
  declare(graph: GraphBuilder, sites: readonly LinearSite[], type: DeviceFloat): void;
  /** x [N, inputSize] to [N, Σ outputSize]. */
  change(graph: GraphBuilder, x: Value, sites: readonly LinearSite[], type: DeviceFloat): Value;
}

export interface DeviceGraphSpec {
  readonly phase: DevicePhase;
  /** Undefined for steps of the plain base. */
  readonly deltas: DeltaPart | undefined;
  /** Also gives the outputs of {@link outputTopLogits}. */
  readonly top: boolean;
}

/**
 * Builds the graph of one step on a device. Everything large is an input that lies on the device already: weights, cache,
 * tables. So several graphs share them, and only tokens, places and lengths go over the bus.
 */
export function buildDeviceGraph(checkpoint: Checkpoint, weights: DeviceWeights, spec: DeviceGraphSpec): Uint8Array {
  const graph = new GraphBuilder();
  const decoder = new DeviceDecoder(checkpoint, graph, weights, spec);
  const { tokens, positions, wanted } = DEVICE_VALUES;
  graph.input(tokens, "int64", ["tokens"]);
  graph.input(positions, "int64", ["tokens"]);
  graph.input(wanted, "int64", ["wanted"]);
  decoder.declare();
  const logits = walkDecoder(checkpoint, graph, decoder, { tokens, positions, wanted });
  const wide = weights.type === "float32" ? logits : graph.op("Cast", [logits], { to: 1n });
  graph.output(DEVICE_VALUES.logits, wide, "float32", ["wanted", checkpoint.config.vocabularySize]);
  if (spec.top) outputTopLogits(graph, wide, checkpoint.config.vocabularySize);
  weights.declare(graph, decoder.used);
  return graph.finish();
}

class DeviceDecoder implements DecoderVariant {
  readonly skipsInLayerNorm = true;
  readonly stacksGateAndUp = true;
  readonly used = new Set<string>();
  readonly #checkpoint: Checkpoint;
  readonly #graph: GraphBuilder;
  readonly #weights: DeviceWeights;
  readonly #spec: DeviceGraphSpec;
  readonly #sites: ReadonlyMap<string, LinearSite>;

  constructor(checkpoint: Checkpoint, graph: GraphBuilder, weights: DeviceWeights, spec: DeviceGraphSpec) {
    this.#checkpoint = checkpoint;
    this.#graph = graph;
    this.#weights = weights;
    this.#spec = spec;
    this.#sites = new Map(checkpoint.info.linears.map((site) => [site.module, site]));
  }

  declare(): void {
    const { config, info } = this.#checkpoint;
    const graph = this.#graph;
    graph.input(DEVICE_VALUES.turns, "int64", ["tokens", 1]);
    graph.input(DEVICE_VALUES.lastPlaces, "int32", ["slots"]);
    graph.input(DEVICE_VALUES.longest, "int32", []);
    if (this.#spec.phase === "decode") {
      graph.input(DEVICE_VALUES.slotTokens, "int64", ["slots"]);
      graph.input(DEVICE_VALUES.tokenSlots, "int64", ["tokens"]);
    } else {
      graph.input(DEVICE_VALUES.slot, "int64", [1]);
      graph.input(DEVICE_VALUES.cacheRows, "int32", ["cache_rows", 1]);
    }
    for (let layer = 0; layer < config.layerCount; layer++) {
      const { key, value } = presentNames(layer);
      for (const { past, flat } of [key, value]) {
        graph.input(past, this.#weights.type, ["slots", config.kvHeadCount, "capacity", config.headSize]);
        if (this.#spec.phase === "chunk") graph.input(flat, this.#weights.type, ["cache", config.headSize]);
      }
    }
    this.#spec.deltas?.declare(graph, info.linears, this.#weights.type);
  }

  stored(...names: readonly string[]): Value {
    return this.#use(this.#weights.stored(...names));
  }

  linears(at: string, modules: readonly string[], x: Value): Value {
    const names = modules.map((module) => `${at}${module}`);
    const sites = names.map((name) => this.#site(name));
    const bias = this.#weights.has(`${names[0]}.bias`) ? this.stored(...names.map((name) => `${name}.bias`)) : undefined;
    const shape = {
      inputSize: sites[0]!.inputSize,
      outputSize: sites.reduce((sum, { outputSize }) => sum + outputSize, 0),
      order: FAMILIES[this.#checkpoint.config.architecture].weightOrder,
    };
    const weights = names.map((name) => `${name}.weight`);
    const product = this.#product(x, weights, shape, bias);
    const change = this.#spec.deltas?.change(this.#graph, x, sites, this.#weights.type);
    return change === undefined ? product : this.#graph.op("Add", [product, change]);
  }

  head(x: Value): Value {
    const { embedding, head } = FAMILIES[this.#checkpoint.config.architecture];
    const { hiddenSize, vocabularySize, tiedEmbeddings } = this.#checkpoint.config;
    const shape = { inputSize: hiddenSize, outputSize: vocabularySize, order: "out_in" } as const;
    return this.#product(x, [`${tiedEmbeddings ? embedding : head}.weight`], shape, undefined);
  }

  #product(x: Value, names: readonly string[], shape: MatrixShape, bias: Value | undefined): Value {
    const { blocks } = this.#weights;
    if (blocks) {
      const { packed, scales } = this.#weights.quantised(names, shape, blocks);
      const parts = { packed: this.#use(packed), scales: this.#use(scales) };
      return blockProduct(this.#graph, x, parts, { ...shape, ...blocks, products: "floats" }, bias);
    }
    const inputs = [x, this.stored(...names)];
    if (bias !== undefined) inputs.push(bias);
    return this.#graph.op("Gemm", inputs, { transB: shape.order === "out_in" ? 1n : 0n });
  }

  attend(at: string, layer: number, fused: Value): Value {
    const { headCount, kvHeadCount, headSize } = this.#checkpoint.config;
    const sizes = [headCount, kvHeadCount, kvHeadCount].map((heads) => heads * headSize);
    const [query, key, value] = this.#graph.split(fused, 1, sizes);
    const parts = [this.#turn(at, query!, "query", headCount), this.#turn(at, key!, "key", kvHeadCount), value!];
    return this.#spec.phase === "decode" ? this.#attendSlots(layer, parts) : this.#attendChunk(layer, parts);
  }

  /** Every slot of the cache has one query; those of rows that do not step get the padding token's, and write where nothing counts. */
  #attendSlots(layer: number, parts: readonly Value[]): Value {
    const graph = this.#graph;
    const bySlot = parts.map((part) =>
      graph.op("Gather", [graph.op("Unsqueeze", [part, graph.integers([1])]), DEVICE_VALUES.slotTokens], { axis: 0n }),
    );
    const { key, value } = presentNames(layer);
    const [output, presentKey, presentValue] = this.#groupQueryAttention(bySlot, key.past, value.past);
    this.#present(layer, presentKey!, presentValue!, ["slots", this.#checkpoint.config.kvHeadCount, "capacity"]);
    const byToken = graph.op("Gather", [output!, DEVICE_VALUES.tokenSlots], { axis: 0n });
    return graph.reshape(byToken, [-1, this.#checkpoint.config.headCount * this.#checkpoint.config.headSize]);
  }

  /** The row's cache is taken out of its slot, and what is new in it is put back. */
  #attendChunk(layer: number, parts: readonly Value[]): Value {
    const graph = this.#graph;
    const { headCount, headSize } = this.#checkpoint.config;
    const { key, value } = presentNames(layer);
    const [pastKey, pastValue] = [key, value].map(({ past }) => graph.op("Gather", [past, DEVICE_VALUES.slot], { axis: 0n }));
    const chunk = parts.map((part) => graph.op("Unsqueeze", [part, graph.integers([0])]));
    const [output, presentKey, presentValue] = this.#groupQueryAttention(chunk, pastKey!, pastValue!);
    const [newKey, newValue] = (
      [
        [presentKey!, key.flat],
        [presentValue!, value.flat],
      ] as const
    ).map(([present, flat]) => {
      // [1, kvHeads, new tokens, headSize] to rows of the cache, one of each key head and token.
      const added = graph.reshape(graph.op("Gather", [present, DEVICE_VALUES.positions], { axis: 2n }), [-1, headSize]);
      const rows = graph.op("Expand", [DEVICE_VALUES.cacheRows, graph.integers([1, headSize])]);
      return graph.op("ScatterElements", [flat, rows, added], { axis: 0n });
    });
    this.#present(layer, newKey!, newValue!, ["cache"]);
    return graph.reshape(output!, [-1, headCount * headSize]);
  }

  #groupQueryAttention(parts: readonly Value[], pastKey: Value, pastValue: Value): readonly Value[] {
    const { headCount, kvHeadCount } = this.#checkpoint.config;
    const inputs = [...parts, pastKey, pastValue, DEVICE_VALUES.lastPlaces, DEVICE_VALUES.longest];
    const attributes = { num_heads: BigInt(headCount), kv_num_heads: BigInt(kvHeadCount) };
    return this.#graph.ops("GroupQueryAttention", inputs, 3, attributes, MICROSOFT);
  }

  #present(layer: number, presentKey: Value, presentValue: Value, shape: readonly (number | string)[]): void {
    const { key, value } = presentNames(layer);
    const full = [...shape, this.#checkpoint.config.headSize];
    this.#graph.output(key.present, presentKey, this.#weights.type, full);
    this.#graph.output(value.present, presentValue, this.#weights.type, full);
  }

  /** Normalises heads where the family does, and turns them by position where it has no learned ones: [N, heads · headSize] to the same. */
  #turn(at: string, heads: Value, which: "query" | "key", count: number): Value {
    const { headNorms } = FAMILIES[this.#checkpoint.config.architecture];
    const { rope, headSize, contextTokensMax } = this.#checkpoint.config;
    if (!headNorms && !rope) return heads;
    const graph = this.#graph;
    let turned = graph.reshape(heads, [-1, count, 1, headSize]);
    if (headNorms) [turned] = normalise(this.#checkpoint, graph, this, `${at}${headNorms[which]}`, turned, undefined);
    if (rope) {
      const shape = [contextTokensMax, headSize / 2];
      const table = (name: "cosines" | "sines") =>
        this.#use(this.#weights.computed(`rope.${name}`, shape, () => createRopeTable(rope, headSize, contextTokensMax)[name]));
      turned = graph.fused("RotaryEmbedding", [turned, DEVICE_VALUES.turns, table("cosines"), table("sines")]);
    }
    return graph.reshape(turned, [-1, count * headSize]);
  }

  #use(name: string): Value {
    this.used.add(name);
    return name;
  }

  #site(module: string): LinearSite {
    const site = this.#sites.get(module);
    assert(site, `${module} is a linear layer of the base`);
    return site;
  }
}
