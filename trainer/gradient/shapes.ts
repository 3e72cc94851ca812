import { type Dimension, type GraphSpec, type NodeSpec, opUnsupported } from "./graph-terms.ts";

/**
 * What is known of each value's shape before anything runs: a number, or a name for a size that is only known then. Two
 * sizes with different names may still be equal; a size that is not the number 1 never is 1.
 */
export type Shapes = ReadonlyMap<string, readonly Dimension[]>;

/** Follows the shapes of inputs and constants through the nodes. @throws Fault op_unsupported for a node it does not know */
export function inferShapes(graph: GraphSpec): Shapes {
  const shapes = new Map<string, readonly Dimension[]>();
  for (const { name, shape } of graph.inputs) shapes.set(name, shape ?? []);
  for (const { name, shape } of graph.initializers) shapes.set(name, shape);
  const constants = integerConstants(graph);
  for (const node of graph.nodes) {
    const rule = RULES[node.type];
    if (!rule) throw opUnsupported(node, "shape");
    const inputs = node.inputs.map((name) => shapes.get(name) ?? []);
    const outputs = rule({
      node,
      inputs,
      integers: (index) => constants.get(node.inputs[index]!),
      fresh: (axis) => `${node.outputs[0]}#${axis}`,
    });
    for (const [index, shape] of outputs.entries()) if (node.outputs[index]) shapes.set(node.outputs[index], shape);
  }
  return shapes;
}

interface Step {
  readonly node: NodeSpec;
  readonly inputs: readonly (readonly Dimension[])[];
  /** Values of an int64 input that is a constant. */
  readonly integers: (index: number) => readonly number[] | undefined;
  /** A name for a size of the first output that is not known. */
  readonly fresh: (axis: number) => string;
}

type ShapeRule = (step: Step) => readonly (readonly Dimension[])[];

const same: ShapeRule = ({ inputs }) => [inputs[0]!];
const broadcast: ShapeRule = ({ inputs }) => [broadcastShape(inputs[0]!, inputs[1]!)];

const product: ShapeRule = ({ node, inputs }) => {
  const [a, b] = [oriented(inputs[0]!, node.attributes["transA"] === 1n), oriented(inputs[1]!, node.attributes["transB"] === 1n)];
  return [[...broadcastShape(a.slice(0, -2), b.slice(0, -2)), a.at(-2)!, b.at(-1)!]];
};

const normalised: ShapeRule = ({ inputs, node }) => {
  const statistics = [...inputs[0]!.slice(0, -1), 1];
  return [inputs[0]!, ...node.outputs.slice(1).map(() => statistics)];
};

/** Rank is known even where sizes are not. */
const RULES: Readonly<Record<string, ShapeRule>> = {
  Identity: same,
  Cast: same,
  Softmax: same,
  Relu: same,
  Gelu: same,
  FastGelu: same,
  QuickGelu: same,
  RotaryEmbedding: same,
  Trilu: same,
  Neg: same,
  Add: broadcast,
  Mul: broadcast,
  Equal: broadcast,
  MatMul: product,
  FusedMatMul: product,
  Gemm: product,
  LayerNormalization: normalised,
  SimplifiedLayerNormalization: normalised,
  Shape: ({ inputs }) => [[inputs[0]!.length]],
  Range: ({ fresh }) => [[fresh(0)]],
  ReduceMax: ({ inputs }) => [inputs[0]!.slice(0, -1)],
  ReduceSum: () => [[]],
  SoftmaxCrossEntropyLoss: ({ inputs }) => [inputs[1]!, inputs[0]!],
  Transpose: ({ node, inputs }) => [(node.attributes["perm"] as readonly bigint[]).map((axis) => inputs[0]![Number(axis)]!)],
  Gather: ({ node, inputs }) => {
    const axis = Number(node.attributes["axis"] ?? 0n);
    return [[...inputs[0]!.slice(0, axis), ...inputs[1]!, ...inputs[0]!.slice(axis + 1)]];
  },
  Split: ({ node, inputs, integers, fresh }) => {
    const axis = axisOf(node, inputs[0]!.length);
    const sizes = integers(1);
    return node.outputs.map((_, index) => inputs[0]!.with(axis, sizes?.[index] ?? `${fresh(axis)}.${index}`));
  },
  Concat: ({ node, inputs, fresh }) => {
    const axis = axisOf(node, inputs[0]!.length);
    const sizes = inputs.map((shape) => shape[axis]!);
    const known = sizes.every((size) => typeof size === "number");
    return [inputs[0]!.with(axis, known ? sizes.reduce<number>((sum, size) => sum + Number(size), 0) : fresh(axis))];
  },
  Reshape: ({ inputs, integers, fresh }) => {
    const target = integers(1);
    if (!target) return [Array.from({ length: Number(inputs[1]![0]) }, (_, axis) => fresh(axis))];
    return [target.map((size, axis) => (size > 0 ? size : size === 0 ? inputs[0]![axis]! : fresh(axis)))];
  },
  Expand: ({ inputs, fresh }) => [Array.from({ length: Number(inputs[1]![0]) }, (_, axis) => fresh(axis))],
  ConstantOfShape: ({ inputs, fresh }) => [Array.from({ length: Number(inputs[0]![0]) }, (_, axis) => fresh(axis))],
};

/** The axis attribute, counted from the front. */
export function axisOf(node: NodeSpec, rank: number): number {
  const axis = Number(node.attributes["axis"] ?? 0n);
  return axis < 0 ? axis + rank : axis;
}

function oriented(shape: readonly Dimension[], transposed: boolean): readonly Dimension[] {
  return transposed ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;
}

function broadcastShape(one: readonly Dimension[], other: readonly Dimension[]): Dimension[] {
  const rank = Math.max(one.length, other.length);
  return Array.from({ length: rank }, (_, axis) => {
    const a = one[axis - rank + one.length] ?? 1;
    const b = other[axis - rank + other.length] ?? 1;
    return a === 1 ? b : typeof b === "number" && b !== 1 ? b : a;
  });
}

function integerConstants({ initializers }: GraphSpec): ReadonlyMap<string, readonly number[]> {
  const constants = new Map<string, readonly number[]>();
  for (const { name, type, data } of initializers) {
    if (type !== "int64" || !("inline" in data)) continue;
    const bytes = data.inline.slice();
    constants.set(name, Array.from(new BigInt64Array(bytes.buffer), Number));
  }
  return constants;
}
