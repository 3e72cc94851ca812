import { arch } from "node:os";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { type Bytes, Fault, GIB } from "#kernel";
import { type BaseInfo, GraphBuilder, type LinearFormat } from "#model";
import type { WeightFormat } from "../../compute.ts";

/** How quickly which is, and how close to float32: docs/decisions/quantised-weights.md. */
const BLOCKS = { int4: { kind: "blocks", bits: 4, blockSize: 32 }, int8: { kind: "blocks", bits: 8, blockSize: 128 } } as const;

/** Opening a session makes two more copies of the weights on the way to filters in the kernel's order; larger bases have better use for the room. */
const POINTS_MAX: Bytes = GIB;
const FLOAT_BYTES: Bytes = 4;

/** Whether float32 weights are the filters of convolutions, for which the runtime has kernels of its own on x86 only. */
export function areFilters({ parameterCount }: Pick<BaseInfo, "parameterCount">): boolean {
  return arch() === "x64" && parameterCount * FLOAT_BYTES <= POINTS_MAX;
}

/** The fastest way in which this processor computes with such weights. @throws Fault parameter_unsupported */
export async function chooseLinearFormat(base: Pick<BaseInfo, "parameterCount">, weights: WeightFormat): Promise<LinearFormat> {
  switch (weights) {
    case "float32":
      return { kind: areFilters(base) ? "points" : "float32" };
    case "int8":
      return (await hasExactProducts()) ? { kind: "channels" } : BLOCKS.int8;
    case "int4":
      return BLOCKS.int4;
    case "float16":
      throw new Fault("parameter_unsupported", "float16 weights are for devices: the processor would widen them at every step", {
        detail: { field: "weights" },
      });
  }
}

const PROBE = { rows: [1, 32], inner: 64, columns: 32, left: 255, right: 127 } as const;

/**
 * Whether products of unsigned with signed bytes are exact on this processor. x86 without VNNI adds two of them in 16 bits, where
 * the largest do not fit; instructions differ by number of rows, so few and many are tried.
 */
export async function hasExactProducts(): Promise<boolean> {
  const { rows, inner, columns, left, right } = PROBE;
  const graph = new GraphBuilder();
  const x = graph.input("x", "uint8", ["rows", inner]);
  graph.output("y", graph.op("MatMulInteger", [x, graph.weight("weight", [inner, columns], "int8")]), "int32", ["rows", columns]);
  const session = await InferenceSession.create(graph.finish(), {
    executionProviders: ["cpu"],
    intraOpNumThreads: 1,
    externalData: [{ path: "weight", data: new Uint8Array(inner * columns).fill(right) }],
  });
  try {
    for (const count of rows) {
      const { y } = await session.run({ x: new Tensor("uint8", new Uint8Array(count * inner).fill(left), [count, inner]) });
      if ((y!.data as Int32Array).some((sum) => sum !== left * right * inner)) return false;
    }
    return true;
  } finally {
    await session.release();
  }
}
