import { assert } from "#kernel";
import type { Dimension, GraphBuilder, NodeSpec, Value } from "./graph-terms.ts";
import { axisOf } from "./shapes.ts";

/** One node on the way back. */
export interface BackwardStep {
  /** Where the gradient's nodes go. */
  readonly graph: GraphBuilder;
  readonly node: NodeSpec;
  /** What each output got; undefined for one that the loss does not depend on. */
  readonly gradients: readonly (Value | undefined)[];
  readonly shapeOf: (value: Value) => readonly Dimension[];
  /** Whether the input's gradient is of any use. */
  readonly wants: (input: number) => boolean;
}

/** What each input gets; undefined for those that are not wanted or have no gradient. */
export type GradientRule = (step: BackwardStep) => readonly (Value | undefined)[];

/**
 * The gradient of each operator. Written dx for the gradient of x; formulas are the derivative of the operator's own
 * definition in the ONNX and com.microsoft operator lists.
 */
export const GRADIENT_RULES: Readonly<Record<string, GradientRule>> = {
  Identity: ({ gradients }) => [gradients[0]],
  Add: (step) => [0, 1].map((input) => sumTo(step, input, only(step))),
  Mul: (step) =>
    [0, 1].map((input) =>
      step.wants(input) ? sumTo(step, input, step.graph.op("Mul", [only(step), step.node.inputs[1 - input]!])) : undefined,
    ),
  MatMul: product,
  FusedMatMul: product,
  /** Y = α · op(A) · op(B) + C */
  Gemm: (step) => [...product(step), sumTo(step, 2, only(step))],
  Reshape: ({ graph, node, gradients }) => [graph.op("Reshape", [gradients[0]!, graph.op("Shape", [node.inputs[0]!])])],
  Transpose({ graph, node, gradients }) {
    const order = (node.attributes["perm"] as readonly bigint[]).map(Number);
    return [
      graph.transpose(
        gradients[0]!,
        order.map((_, axis) => order.indexOf(axis)),
      ),
    ];
  },
  Split({ graph, node, gradients, shapeOf }) {
    const parts = gradients.map((gradient, index) => gradient ?? zerosLike(graph, node.outputs[index]!));
    return [graph.op("Concat", parts, { axis: BigInt(axisOf(node, shapeOf(node.inputs[0]!).length)) })];
  },
  Concat({ graph, node, gradients, shapeOf }) {
    const axis = axisOf(node, shapeOf(node.inputs[0]!).length);
    const sizes = node.inputs.map((input) => shapeOf(input)[axis]!);
    assert(
      sizes.every((size) => typeof size === "number"),
      "what is joined and learned has a known size",
    );
    return graph.split(gradients[0]!, axis, sizes as number[]);
  },
  /** Rows may be taken more than once: their gradients add up. */
  Gather({ graph, node, gradients, wants }) {
    assert((node.attributes["axis"] ?? 0n) === 0n, "rows are gathered");
    if (!wants(0)) return [];
    const places = graph.op("Unsqueeze", [node.inputs[1]!, graph.integers([-1])]);
    return [graph.op("ScatterND", [zerosLike(graph, node.inputs[0]!), places, gradients[0]!], { reduction: "add" })];
  },
  /** y = softmax(x): dx = y · (dy − Σ dy · y). */
  Softmax({ graph, node, gradients }) {
    const y = node.outputs[0]!;
    const sums = graph.op("ReduceSum", [graph.op("Mul", [gradients[0]!, y]), graph.integers([-1])], { keepdims: 1n });
    return [graph.op("Mul", [y, graph.op("Sub", [gradients[0]!, sums])])];
  },
  /** With p = softmax(scores), dscores = (p − onehot(target)) · dloss. */
  SoftmaxCrossEntropyLoss({ graph, node, gradients }) {
    const column = graph.op("Unsqueeze", [gradients[0]!, graph.integers([1])]);
    const shares = graph.op("Mul", [graph.op("Exp", [node.outputs[1]!]), column]);
    const targets = graph.op("Unsqueeze", [node.inputs[1]!, graph.integers([1])]);
    return [graph.op("ScatterElements", [shares, targets, graph.op("Neg", [column])], { axis: 1n, reduction: "add" }), undefined];
  },
  ReduceSum: ({ graph, node, gradients }) => [graph.op("Expand", [gradients[0]!, graph.op("Shape", [node.inputs[0]!])])],
  /** x̂ = (x − mean) · inverse, y = x̂ · scale + bias: with g = dy · scale, dx = inverse · (g − mean(g) − x̂ · mean(g · x̂)). */
  LayerNormalization({ graph, node, gradients, shapeOf }) {
    const [x, scale] = node.inputs as [Value, Value];
    const [, mean, inverse] = node.outputs as [Value, Value, Value];
    const dy = gradients[0]!;
    const normed = graph.op("Mul", [graph.op("Sub", [x, mean]), inverse]);
    const g = graph.op("Mul", [dy, scale]);
    const centred = graph.op("Sub", [g, meanOverLast(graph, g)]);
    const along = graph.op("Mul", [normed, meanOverLast(graph, graph.op("Mul", [g, normed]))]);
    const rank = shapeOf(x).length;
    return [
      graph.op("Mul", [graph.op("Sub", [centred, along]), inverse]),
      sumLeading(graph, graph.op("Mul", [dy, normed]), rank),
      sumLeading(graph, dy, rank),
    ];
  },
  /** y = x · inverse · scale: with g = dy · scale, dx = g · inverse − x · (inverse³ · mean(g · x)). */
  SimplifiedLayerNormalization({ graph, node, gradients, shapeOf, wants }) {
    const [x, scale] = node.inputs as [Value, Value];
    const [, inverse] = node.outputs as [Value, Value];
    const dy = gradients[0]!;
    const g = graph.op("Mul", [dy, scale]);
    const cube = graph.op("Mul", [graph.op("Mul", [inverse, inverse]), inverse]);
    const factor = graph.op("Mul", [cube, meanOverLast(graph, graph.op("Mul", [g, x]))]);
    const dx = graph.op("Sub", [graph.op("Mul", [g, inverse]), graph.op("Mul", [x, factor])]);
    if (!wants(1)) return [dx];
    return [dx, sumLeading(graph, graph.op("Mul", [dy, graph.op("Mul", [x, inverse])]), shapeOf(x).length)];
  },
  /** A rotation is undone by the opposite one. */
  RotaryEmbedding({ graph, node, gradients }) {
    const [, positions, cosines, sines] = node.inputs as [Value, Value, Value, Value];
    return [graph.fused("RotaryEmbedding", [gradients[0]!, positions, cosines, graph.op("Neg", [sines])])];
  },
  Relu: ({ graph, node, gradients }) => [
    graph.op("Where", [graph.op("Greater", [node.inputs[0]!, graph.float(0)]), gradients[0]!, graph.float(0)]),
  ],
  /** y = x · s with s = σ(αx): dx = dy · (s + αy · (1 − s)). */
  QuickGelu({ graph, node, gradients }) {
    const alpha = node.attributes["alpha"];
    assert(alpha === 1, "SiLU is the only form of QuickGelu in use");
    const s = graph.op("Sigmoid", [node.inputs[0]!]);
    const slope = graph.op("Add", [s, graph.op("Mul", [node.outputs[0]!, graph.op("Sub", [graph.float(1), s])])]);
    return [graph.op("Mul", [gradients[0]!, slope])];
  },
  /** y = x · s with s = σ(2u), u = √(2/π)(x + 0.044715x³): dx = dy · (s + y · (1 − s) · 2u′). */
  FastGelu({ graph, node, gradients }) {
    const x = node.inputs[0]!;
    const factor = 2 * Math.sqrt(2 / Math.PI);
    const square = graph.op("Mul", [x, x]);
    const twice = graph.op("Mul", [x, linear(graph, square, factor * CUBE, factor)]);
    const s = graph.op("Sigmoid", [twice]);
    const bend = graph.op("Mul", [
      graph.op("Mul", [node.outputs[0]!, graph.op("Sub", [graph.float(1), s])]),
      linear(graph, square, 3 * factor * CUBE, factor),
    ]);
    return [graph.op("Mul", [gradients[0]!, graph.op("Add", [s, bend])])];
  },
  /** y = x · Φ(x): dx = dy · (Φ(x) + x · φ(x)). */
  Gelu({ graph, node, gradients }) {
    const x = node.inputs[0]!;
    const area = linear(graph, graph.op("Erf", [graph.op("Mul", [x, graph.float(Math.SQRT1_2)])]), 0.5, 0.5);
    const density = graph.op("Exp", [graph.op("Mul", [graph.op("Mul", [x, x]), graph.float(-0.5)])]);
    const bend = graph.op("Mul", [graph.op("Mul", [x, density]), graph.float(1 / Math.sqrt(2 * Math.PI))]);
    return [graph.op("Mul", [gradients[0]!, graph.op("Add", [area, bend])])];
  },
};

/** Of the tanh form of GELU (1606.08415). */
const CUBE = 0.044715;

/** Y = α · op(A) · op(B), op being the transposition where asked for. */
function product(step: BackwardStep): (Value | undefined)[] {
  const { graph, node, wants } = step;
  const [a, b] = node.inputs as [Value, Value];
  const dy = only(step);
  const transA = node.attributes["transA"] === 1n;
  const transB = node.attributes["transB"] === 1n;
  const alpha = (node.attributes["alpha"] as number | undefined) ?? 1;
  const da = () => (transA ? matMul(graph, b, transB, dy, true, alpha) : matMul(graph, dy, false, b, !transB, alpha));
  const db = () => (transB ? matMul(graph, dy, true, a, transA, alpha) : matMul(graph, a, !transA, dy, false, alpha));
  return [wants(0) ? sumTo(step, 0, da()) : undefined, wants(1) ? sumTo(step, 1, db()) : undefined];
}

function matMul(graph: GraphBuilder, a: Value, transA: boolean, b: Value, transB: boolean, alpha: number): Value {
  if (!transA && !transB && alpha === 1) return graph.op("MatMul", [a, b]);
  return graph.fused("FusedMatMul", [a, b], { transA: transA ? 1n : 0n, transB: transB ? 1n : 0n, alpha });
}

/** The gradient of an operator with one output. */
function only({ gradients }: BackwardStep): Value {
  const gradient = gradients[0];
  assert(gradient !== undefined, "an operator with one output is only visited when that has a gradient");
  return gradient;
}

/** Undoes broadcasting: sums `gradient`, which has the output's shape, over the axes that the input lacked or had once. */
function sumTo({ graph, node, shapeOf, wants }: BackwardStep, input: number, gradient: Value): Value | undefined {
  if (!wants(input)) return undefined;
  const target = shapeOf(node.inputs[input]!);
  const output = shapeOf(node.outputs[0]!);
  const missing = output.length - target.length;
  const stretched = output.flatMap((size, axis) => (axis >= missing && target[axis - missing] === 1 && size !== 1 ? [axis] : []));
  let sum = gradient;
  if (stretched.length > 0) sum = graph.op("ReduceSum", [sum, graph.integers(stretched)], { keepdims: 1n });
  if (missing > 0) sum = graph.op("ReduceSum", [sum, graph.integers(Array.from({ length: missing }, (_, axis) => axis))], { keepdims: 0n });
  return sum;
}

/** Over all axes but the last. */
function sumLeading(graph: GraphBuilder, value: Value, rank: number): Value {
  return graph.op("ReduceSum", [value, graph.integers(Array.from({ length: rank - 1 }, (_, axis) => axis))], { keepdims: 0n });
}

function meanOverLast(graph: GraphBuilder, value: Value): Value {
  return graph.op("ReduceMean", [value, graph.integers([-1])], { keepdims: 1n });
}

/** slope · x + offset */
function linear(graph: GraphBuilder, x: Value, slope: number, offset: number): Value {
  return graph.op("Add", [graph.op("Mul", [x, graph.float(slope)]), graph.float(offset)]);
}

function zerosLike(graph: GraphBuilder, value: Value): Value {
  return graph.op("ConstantOfShape", [graph.op("Shape", [value])]);
}
