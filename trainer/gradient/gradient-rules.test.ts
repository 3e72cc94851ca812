import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { type Random, seededRandom } from "#kernel";
import { GraphBuilder, type Value } from "#model";
import { differentiate } from "./differentiate.ts";
import { GRADIENT_RULES } from "./gradient-rules.ts";

type Shapes = Readonly<Record<string, readonly number[]>>;

/** A small graph over learned inputs; what it makes is weighted at random and summed up to the loss. */
interface Case {
  readonly inputs: Shapes;
  readonly make: (graph: GraphBuilder) => Value;
  /** Of the value that is made. */
  readonly output: readonly number[];
}

const turn = { transA: 1n, transB: 1n } as const;

const CASES: Readonly<Record<string, Case>> = {
  "Add, rows added to a table": { inputs: { x: [3, 4], y: [4] }, make: (g) => g.op("Add", ["x", "y"]), output: [3, 4] },
  "Add, both stretched": { inputs: { x: [3, 1], y: [1, 4] }, make: (g) => g.op("Add", ["x", "y"]), output: [3, 4] },
  "Add, of a value to itself": { inputs: { x: [3, 4] }, make: (g) => g.op("Add", ["x", "x"]), output: [3, 4] },
  "Mul, stretched over two axes": { inputs: { x: [2, 3, 4], y: [3, 1] }, make: (g) => g.op("Mul", ["x", "y"]), output: [2, 3, 4] },
  Identity: { inputs: { x: [3] }, make: (g) => g.op("Identity", ["x"]), output: [3] },
  "MatMul, of matrices": { inputs: { x: [3, 4], y: [4, 5] }, make: (g) => g.op("MatMul", ["x", "y"]), output: [3, 5] },
  "MatMul, one matrix for a batch": {
    inputs: { x: [2, 3, 4], y: [1, 4, 5] },
    make: (g) => g.op("MatMul", ["x", "y"]),
    output: [2, 3, 5],
  },
  "FusedMatMul, left turned": {
    inputs: { x: [4, 3], y: [4, 5] },
    make: (g) => g.fused("FusedMatMul", ["x", "y"], { transA: 1n, alpha: 0.5 }),
    output: [3, 5],
  },
  "FusedMatMul, right turned": {
    inputs: { x: [2, 3, 4], y: [2, 5, 4] },
    make: (g) => g.fused("FusedMatMul", ["x", "y"], { transB: 1n, alpha: 2 }),
    output: [2, 3, 5],
  },
  "FusedMatMul, both turned": { inputs: { x: [4, 3], y: [5, 4] }, make: (g) => g.fused("FusedMatMul", ["x", "y"], turn), output: [3, 5] },
  "Gemm, a product added to a table": {
    inputs: { x: [3, 4], y: [5, 4], z: [3, 5] },
    make: (g) => g.op("Gemm", ["x", "y", "z"], { transB: 1n, alpha: 2 }),
    output: [3, 5],
  },
  "Gemm, with a row added": { inputs: { x: [3, 4], y: [4, 5], z: [5] }, make: (g) => g.op("Gemm", ["x", "y", "z"]), output: [3, 5] },
  Reshape: { inputs: { x: [2, 6] }, make: (g) => g.reshape("x", [0, 3, -1]), output: [2, 3, 2] },
  Transpose: { inputs: { x: [2, 3, 4] }, make: (g) => g.transpose("x", [2, 0, 1]), output: [4, 2, 3] },
  "Split, one part unused": { inputs: { x: [2, 5] }, make: (g) => g.split("x", 1, [2, 3])[1]!, output: [2, 3] },
  Concat: { inputs: { x: [2, 2], y: [2, 3] }, make: (g) => g.op("Concat", ["x", "y"], { axis: 1n }), output: [2, 5] },
  "Gather, one row twice": {
    inputs: { x: [4, 3] },
    make: (g) => g.op("Gather", ["x", g.integers([2, 0, 2])], { axis: 0n }),
    output: [3, 3],
  },
  Softmax: { inputs: { x: [3, 5] }, make: (g) => g.op("Softmax", ["x"], { axis: -1n }), output: [3, 5] },
  SoftmaxCrossEntropyLoss: {
    inputs: { x: [3, 5] },
    make: (g) => g.ops("SoftmaxCrossEntropyLoss", ["x", g.integers([4, 0, 2])], 2, { reduction: "none" })[0]!,
    output: [3],
  },
  ReduceSum: { inputs: { x: [3, 5] }, make: (g) => g.op("ReduceSum", ["x"], { keepdims: 0n }), output: [] },
  LayerNormalization: {
    inputs: { x: [3, 6], scale: [6], bias: [6] },
    make: (g) => g.ops("LayerNormalization", ["x", "scale", "bias"], 3, { axis: -1n, epsilon: 1e-5 })[0]!,
    output: [3, 6],
  },
  "LayerNormalization, over heads": {
    inputs: { x: [2, 3, 6], scale: [6], bias: [6] },
    make: (g) => g.ops("LayerNormalization", ["x", "scale", "bias"], 3, { axis: -1n, epsilon: 1e-5 })[0]!,
    output: [2, 3, 6],
  },
  SimplifiedLayerNormalization: {
    inputs: { x: [2, 3, 6], scale: [6] },
    make: (g) => g.ops("SimplifiedLayerNormalization", ["x", "scale"], 2, { axis: -1n, epsilon: 1e-5 })[0]!,
    output: [2, 3, 6],
  },
  RotaryEmbedding: {
    inputs: { x: [1, 2, 3, 4] },
    make: (g) => g.fused("RotaryEmbedding", ["x", g.integers([0]), angles(g, "cosines", Math.cos), angles(g, "sines", Math.sin)]),
    output: [1, 2, 3, 4],
  },
  Relu: { inputs: { x: [3, 5] }, make: (g) => g.op("Relu", ["x"]), output: [3, 5] },
  QuickGelu: { inputs: { x: [3, 5] }, make: (g) => g.fused("QuickGelu", ["x"], { alpha: 1 }), output: [3, 5] },
  FastGelu: { inputs: { x: [3, 5] }, make: (g) => g.fused("FastGelu", ["x"]), output: [3, 5] },
  Gelu: { inputs: { x: [3, 5] }, make: (g) => g.fused("Gelu", ["x"]), output: [3, 5] },
};

/** [8, 2]: the tables of positions 0 to 7, as inputs that are not learned. */
function angles(graph: GraphBuilder, name: string, wave: (angle: number) => number): Value {
  FIXED.set(name, { values: Float32Array.from({ length: 16 }, (_, at) => wave((at >> 1) * [1, 0.3][at & 1]!)), shape: [8, 2] });
  return graph.input(name, "float32", [8, 2]);
}
const FIXED = new Map<string, { readonly values: Float32Array; readonly shape: readonly number[] }>();

describe("the gradient of", () => {
  test.each(Object.entries(CASES))("%s is its finite difference", async (_, { inputs, make, output }) => {
    FIXED.clear();
    const random = seededRandom(3);
    const graph = new GraphBuilder();
    for (const [name, shape] of Object.entries(inputs)) graph.input(name, "float32", shape);
    const made = make(graph);
    const share = graph.input("share", "float32", output);
    FIXED.set("share", { values: draw(output, random), shape: output });
    const loss = graph.op("ReduceSum", [graph.op("Mul", [made, share])], { keepdims: 0n });
    graph.output("loss", loss, "float32", []);
    for (const [name, gradient] of differentiate(graph, loss, Object.keys(inputs)))
      graph.output(`d${name}`, gradient, "float32", undefined);
    const session = await InferenceSession.create(graph.finish(), { intraOpNumThreads: 1 });
    try {
      await compare(session, inputs, random);
    } finally {
      await session.release();
    }
  });

  test("every operator in the table has a case here", () => {
    const tried = new Set(Object.keys(CASES).map((title) => title.split(",")[0]));
    expect(Object.keys(GRADIENT_RULES).filter((operator) => !tried.has(operator))).toEqual([]);
  });

  test("an operator without a rule is refused by its name", () => {
    const graph = new GraphBuilder();
    const x = graph.input("x", "float32", [2]);
    const loss = graph.op("ReduceSum", [graph.op("Cosh", [x])], { keepdims: 0n });
    expect(() => differentiate(graph, loss, ["x"])).toThrow(
      expect.objectContaining({ reason: "op_unsupported", message: expect.stringContaining("Cosh") }),
    );
  });
});

/** Small enough for the curvature, large enough for single precision. */
const STEP = 1 / 128;

async function compare(session: InferenceSession, inputs: Shapes, random: Random): Promise<void> {
  const at = new Map(Object.entries(inputs).map(([name, shape]) => [name, draw(shape, random)]));
  const run = async (values: ReadonlyMap<string, Float32Array>) => {
    const feeds: Record<string, Tensor> = {};
    for (const [name, value] of values) feeds[name] = new Tensor("float32", value, [...inputs[name]!]);
    for (const [name, { values: fixed, shape }] of FIXED) feeds[name] = new Tensor("float32", fixed, [...shape]);
    return session.run(feeds);
  };
  const gradients = await run(at);
  for (const [name, values] of at) {
    const gradient = gradients[`d${name}`]!.data as Float32Array;
    expect(gradient.length).toBe(values.length);
    for (const [index, value] of values.entries()) {
      const lossAt = async (moved: number) =>
        ((await run(new Map(at).set(name, values.with(index, moved))))["loss"]!.data as Float32Array)[0]!;
      const slope = ((await lossAt(value + STEP)) - (await lossAt(value - STEP))) / (2 * STEP);
      expect(Math.abs(gradient[index]! - slope), `d${name}[${index}] is ${gradient[index]}, the slope ${slope}`).toBeLessThan(
        2e-3 + 5e-3 * Math.abs(slope),
      );
    }
  }
}

/** Between -1 and 1, and none close to 0, where Relu has its corner. */
function draw(shape: readonly number[], random: Random): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  return Float32Array.from({ length: count }, () => (random.float() < 0.5 ? -1 : 1) * (0.1 + 0.9 * random.float()));
}
