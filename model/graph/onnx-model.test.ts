import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { GraphBuilder } from "./graph-builder.ts";

/** The runtime's own reader is the judge of what we write. */
async function run(graph: GraphBuilder, feeds: Record<string, Tensor>, externalData: { path: string; data: Uint8Array }[] = []) {
  const session = await InferenceSession.create(graph.finish(), { externalData, intraOpNumThreads: 1 });
  const outputs = await session.run(feeds);
  await session.release();
  return outputs;
}

const row = (...values: number[]) => new Tensor("float32", Float32Array.from(values), [1, values.length]);

describe("a model that we encode", () => {
  test("computes with weights that lie beside it, small constants and attributes of every kind", async () => {
    const graph = new GraphBuilder();
    const x = graph.input("x", "float32", ["rows", 2]);
    const y = graph.op("Gemm", [x, graph.weight("w", [3, 2])], { transB: 1n, alpha: 0.5 });
    graph.output("y", graph.op("Add", [graph.transpose(graph.reshape(y, [1, -1]), [1, 0]), graph.float(10)]), "float32", [3, "rows"]);
    const weights = Float32Array.of(1, 2, 3, 4, 5, 6);
    const { y: result } = await run(graph, { x: row(1, -1) }, [{ path: "w", data: new Uint8Array(weights.buffer) }]);
    expect(result!.dims).toEqual([3, 1]);
    expect([...(result!.data as Float32Array)]).toEqual([9.5, 9.5, 9.5]);
  });

  test("takes the branch that its condition names, with values and names of its own", async () => {
    const graph = new GraphBuilder();
    const x = graph.input("x", "float32", [1, 2]);
    const condition = graph.input("condition", "bool", []);
    const chosen = graph.choose(
      condition,
      (branch) => branch.op("Mul", [x, branch.float(2)]),
      (branch) => branch.op("Add", [x, branch.float(2)]),
    );
    graph.output("y", graph.op("Sub", [chosen, graph.float(1)]), "float32", [1, 2]);
    const given = async (value: boolean) => {
      const { y } = await run(graph, { x: row(3, 5), condition: new Tensor("bool", Uint8Array.of(value ? 1 : 0), []) });
      return [...(y!.data as Float32Array)];
    };
    expect(await given(true)).toEqual([5, 9]);
    expect(await given(false)).toEqual([4, 6]);
  });

  test("has as many outputs per node as are wanted", async () => {
    const graph = new GraphBuilder();
    const parts = graph.split(graph.input("x", "float32", [1, 6]), 1, [1, 2, 3]);
    for (const [index, part] of parts.entries()) graph.output(`part${index}`, part, "float32", [1, index + 1]);
    const outputs = await run(graph, { x: row(1, 2, 3, 4, 5, 6) });
    expect(Object.values(outputs).map(({ data }) => [...(data as Float32Array)])).toEqual([[1], [2, 3], [4, 5, 6]]);
  });
});
