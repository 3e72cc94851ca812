import { InferenceSession, Tensor } from "onnxruntime-node";
import { GraphBuilder } from "#model";
import { randomValues } from "./random-values.ts";
import type { MachineRates } from "./roofline.ts";

/**
 * Measures what the machine can do, again and again: rates drift on shared machines, so they are taken in turns with what
 * is compared to them. Values are random, as a model's are: hosts share pages of equal values, which then read twice as fast.
 */
export interface RateMeter extends AsyncDisposable {
  measure(): Promise<MachineRates>;
}

/** A product large enough for the library's best rate; its output is small, since the runtime copies outputs. */
const PRODUCT = { rows: 512, inner: 4096, columns: 1024 };
/** Half a gigabyte: more than any cache, or as much of one as a model of this size also gets. */
const READ_FLOATS = 128 * 1024 * 1024;
const READ_ROWS = 256;
/** A vector times a matrix of a quarter of a gigabyte: the other way in which weights are read. */
const VECTOR = { rows: 1, inner: 4096, columns: 16384 };
const REPEATS = 8;

/** Opens sessions of the same runtime, with the same number of threads as the engine under test. Holds about 800 MB. */
export async function openRateMeter(threads: number): Promise<RateMeter> {
  const product = await openProduct(PRODUCT, threads);
  const vector = await openProduct(VECTOR, threads);
  const read = await openRead(threads);
  return {
    async measure() {
      const { rows, inner, columns } = PRODUCT;
      const flopsPerSecond = (2 * rows * inner * columns) / (await product.bestSeconds());
      const vectorBytes = (VECTOR.inner * VECTOR.columns * 4) / (await vector.bestSeconds());
      const readBytes = (READ_FLOATS * 4) / (await read.bestSeconds());
      return { flopsPerSecond, bytesPerSecond: Math.max(vectorBytes, readBytes) };
    },
    async [Symbol.asyncDispose]() {
      for (const timed of [product, vector, read]) await timed.release();
    },
  };
}

interface TimedGraph {
  /** The shortest of a few runs: what disturbs a run is never the machine's limit. */
  bestSeconds(): Promise<number>;
  release(): Promise<void>;
}

/** x[rows, inner] times a constant [columns, inner], which the runtime packs ahead of time as it does a model's weights. */
async function openProduct({ rows, inner, columns }: typeof PRODUCT, threads: number): Promise<TimedGraph> {
  const graph = new GraphBuilder();
  const x = graph.input("x", "float32", [rows, inner]);
  const weight = graph.weight("weight", [columns, inner]);
  graph.output("y", graph.fused("FusedMatMul", [x, weight], { transB: 1n }), "float32", [rows, columns]);
  const input = new Tensor("float32", randomValues(rows * inner, 1, 1), [rows, inner]);
  return openTimed(graph, input, threads, randomValues(columns * inner, 0.02, 2));
}

/** The largest of many values: nothing but reading. */
async function openRead(threads: number): Promise<TimedGraph> {
  const columns = READ_FLOATS / READ_ROWS;
  const graph = new GraphBuilder();
  const x = graph.input("x", "float32", [READ_ROWS, columns]);
  const input = new Tensor("float32", randomValues(READ_FLOATS, 1, 3), [READ_ROWS, columns]);
  graph.output("y", graph.op("ReduceMax", [x, graph.integers([1])], { keepdims: 0n }), "float32", [READ_ROWS]);
  return openTimed(graph, input, threads);
}

async function openTimed(graph: GraphBuilder, input: Tensor, threads: number, weight?: Float32Array<ArrayBuffer>): Promise<TimedGraph> {
  const session = await InferenceSession.create(graph.finish(), {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    externalData: weight ? [{ path: "weight", data: new Uint8Array(weight.buffer) }] : [],
  });
  await session.run({ x: input }); // The first run allocates.
  return {
    async bestSeconds() {
      let bestMs = Number.POSITIVE_INFINITY;
      for (let repeat = 0; repeat < REPEATS; repeat++) {
        const startedMs = performance.now();
        await session.run({ x: input });
        bestMs = Math.min(bestMs, performance.now() - startedMs);
      }
      return bestMs / 1000;
    },
    release: () => session.release(),
  };
}
