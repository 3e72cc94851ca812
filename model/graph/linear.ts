import { type BlockFormat, blockShapes, quantiseBlocks } from "./block-quantiser.ts";
import { quantiseChannels } from "./channel-quantiser.ts";
import { DELTA_INPUTS } from "./delta-branch.ts";
import { ABSENT, type GraphBuilder, type Value } from "./graph-builder.ts";
import type { MatrixShape } from "./matrix.ts";
import type { WeightPlan } from "./weight-plan.ts";

/**
 * How linear layers are stored and computed. `float32` and `points` are the same weights and numbers, as a matrix product or as a convolution
 * over single points, whose kernel is faster where the runtime has one. `channels`: weights in 8 bits with a scale per output, activations in 8 bits
 * with a scale per token, products of whole numbers. `blocks`: weights in 4 or 8 bits with a scale per block of inputs.
 */
export type LinearFormat = { readonly kind: "float32" | "points" | "channels" } | ({ readonly kind: "blocks" } & BlockFormat);

/** Linear layers that share their input, as one. */
export interface Linear extends MatrixShape {
  /** Names of the weights in the checkpoint, stacked by output. */
  readonly names: readonly string[];
  /** [N, inputSize] */
  readonly x: Value;
  /** An input of the graph with N values. */
  readonly tokens: Value;
  /** [outputSize] */
  readonly bias?: Value | undefined;
  /** [N, outputSize]: what the step's deltas add, if it has any. */
  readonly change?: ((branch: GraphBuilder) => Value) | undefined;
}

/**
 * Which steps a graph is for: those with deltas; of these the even ones alone (see EVEN_TOKENS); those without; or either, which takes a
 * branch at every change.
 */
export type DeltaSteps = "with" | "even" | "without" | "either";

/** Computes linear layers, [N, inputSize] to [N, outputSize], in one format. Deltas are added in float32, whatever the format. */
export class LinearLayers {
  readonly #graph: GraphBuilder;
  readonly #weights: WeightPlan;
  readonly #format: LinearFormat;
  readonly #steps: DeltaSteps;
  /** By the input that counts the tokens. */
  readonly #middles = new Map<Value, Value>();

  constructor(graph: GraphBuilder, weights: WeightPlan, format: LinearFormat, steps: DeltaSteps = "either") {
    this.#graph = graph;
    this.#weights = weights;
    this.#format = format;
    this.#steps = steps;
  }

  apply(layers: Linear): Value {
    const linear = this.#steps === "without" ? { ...layers, change: undefined } : layers;
    switch (this.#format.kind) {
      case "float32":
        return this.#product(linear);
      case "points":
        return this.#pointProduct(linear);
      case "channels":
        return this.#channelProduct(linear);
      case "blocks":
        return this.#blockProduct(linear, this.#format);
    }
  }

  #product({ x, names, order, bias, change }: Linear): Value {
    const weight = this.#weights.stored(...names);
    const added = change
      ? this.#ifActive(
          (branch) => (bias ? branch.op("Add", [change(branch), bias]) : change(branch)),
          (branch) => bias ?? branch.float(0),
        )
      : bias;
    return this.#graph.op("Gemm", added === undefined ? [x, weight] : [x, weight, added], { transB: order === "out_in" ? 1n : 0n });
  }

  /** Tokens are the points of one image, one high, and inputs its channels. The runtime makes one step of each transposition and the kernel's own order. */
  #pointProduct({ x, names, inputSize, outputSize, order, bias, change }: Linear): Value {
    const graph = this.#graph;
    const filters = this.#weights.filters(names, { inputSize, outputSize, order });
    const points = graph.transpose(graph.reshape(x, [1, 1, -1, inputSize]), [0, 3, 1, 2]);
    const image = graph.op("Conv", bias ? [points, filters, bias] : [points, filters], { kernel_shape: [1n, 1n] });
    const product = graph.reshape(graph.transpose(image, [0, 2, 3, 1]), [-1, outputSize]);
    if (!change) return product;
    return this.#ifActive(
      (branch) => branch.op("Add", [product, change(branch)]),
      () => product,
    );
  }

  #blockProduct(linear: Linear, format: BlockFormat): Value {
    const { inputSize, outputSize, names, x, bias, change } = linear;
    const shapes = blockShapes(linear, format);
    const parts = [
      { suffix: `int${format.bits}`, type: "uint8", shape: shapes.packed },
      { suffix: "scales", type: "float32", shape: shapes.scales },
    ] as const;
    const [packed, scales] = this.#weights.converted(names, parts, (values) => {
      const quantised = quantiseBlocks({ ...linear, values }, format);
      return [quantised.packed, quantised.scales];
    });
    const spec = { inputSize, outputSize, ...format, products: "integers" } as const;
    const product = blockProduct(this.#graph, x, { packed: packed!, scales: scales! }, spec, bias);
    if (!change) return product;
    const added = this.#ifActive(change, (branch) => branch.float(0));
    return this.#graph.op("Add", [product, added]);
  }

  /**
   * Whole numbers are added up without rounding, so a token gets the same result whatever else is in its batch: its scale is its
   * own, and no sum depends on an order.
   */
  #channelProduct(linear: Linear): Value {
    const { inputSize, outputSize, names, x, tokens, bias, change } = linear;
    const graph = this.#graph;
    const parts = [
      { suffix: "int8", type: "int8", shape: [inputSize, outputSize] },
      { suffix: "scales", type: "float32", shape: [outputSize] },
    ] as const;
    const [steps, scales] = this.#weights.converted(names, parts, (values) => {
      const quantised = quantiseChannels({ ...linear, values });
      return [quantised.steps, quantised.scales];
    });
    const largest = graph.op("ReduceMax", [graph.op("Abs", [x]), graph.integers([1])], { keepdims: 0n });
    const tokenScales = graph.op("Mul", [largest, graph.float(1 / ACTIVATION_STEPS)]);
    const activations = graph.op("QuantizeLinear", [x, tokenScales, this.#middle(tokens)], { axis: 0n });
    const middle = graph.byte(ACTIVATION_MIDDLE);
    const product = graph.fused("MatMulIntegerToFloat", [activations, steps!, graph.float(1), scales!, middle]);
    const column = graph.reshape(tokenScales, [-1, 1]);
    const scaled = (branch: GraphBuilder) => {
      const own = branch.op("Mul", [product, column]);
      return bias ? branch.op("Add", [own, bias]) : own;
    };
    if (!change) return scaled(graph);
    return this.#ifActive((branch) => branch.op("Add", [scaled(branch), change(branch)]), scaled);
  }

  /** The one in steps with deltas, the other in those without. */
  #ifActive(whenActive: (branch: GraphBuilder) => Value, otherwise: (branch: GraphBuilder) => Value): Value {
    if (this.#steps !== "either") return whenActive(this.#graph);
    return this.#graph.choose(DELTA_INPUTS.active, whenActive, otherwise);
  }

  /** The step that stands for zero, once per token. */
  #middle(tokens: Value): Value {
    const known = this.#middles.get(tokens);
    if (known) return known;
    const middle = this.#graph.op("Expand", [this.#graph.byte(ACTIVATION_MIDDLE), this.#graph.op("Shape", [tokens])]);
    this.#middles.set(tokens, middle);
    return middle;
  }
}

/** Activations become whole numbers from 1 to 255 around this one: the runtime's fast kernels take unsigned ones. */
const ACTIVATION_MIDDLE = 128;
const ACTIVATION_STEPS = 127;

/** As `accuracy_level` of MatMulNBits. */
const PRODUCTS = { floats: 0n, integers: 4n } as const;

export interface BlockProduct extends BlockFormat, Pick<MatrixShape, "inputSize" | "outputSize"> {
  /**
   * With `integers` activations are quantised as well, by block and token. On the processor, with floats, 4 bits are slower than float32, 8
   * bits far slower.
   */
  readonly products: keyof typeof PRODUCTS;
}

/** x [N, inputSize] times weights in blocks, plus a bias [outputSize]: [N, outputSize]. For any provider. */
export function blockProduct(
  graph: GraphBuilder,
  x: Value,
  { packed, scales }: { readonly packed: Value; readonly scales: Value },
  { inputSize, outputSize, bits, blockSize, products }: BlockProduct,
  bias?: Value,
): Value {
  const inputs = [x, packed, scales];
  if (bias !== undefined) inputs.push(ABSENT, ABSENT, bias);
  const sizes = { K: BigInt(inputSize), N: BigInt(outputSize), bits: BigInt(bits), block_size: BigInt(blockSize) };
  return graph.fused("MatMulNBits", inputs, { ...sizes, accuracy_level: PRODUCTS[products] });
}
