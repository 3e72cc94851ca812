import { InferenceSession, Tensor } from "onnxruntime-node";
import { GraphBuilder, NUMBER_TYPES, type Value } from "#model";
import { randomValues } from "./random-values.ts";
import type { RateMeter } from "./rate-meter.ts";

/** How large the measured graphs are. The defaults keep a large accelerator busy for milliseconds. */
export interface DeviceMeterSize {
  /** Products are of square matrices of so many rows. */
  readonly productRows: number;
  /** Values of the tensor that is read and written. */
  readonly copyValues: number;
  /** Of the same node in the longer of two graphs; in the shorter one there are two. */
  readonly repeats: number;
}

const DEFAULT_SIZE: DeviceMeterSize = { productRows: 4096, copyValues: 2 ** 26, repeats: 34 };
const COPY_COLUMNS = 4096;
const SHORT_REPEATS = 2;
const TURNS = 5;

type DeviceNumber = "float32" | "float16";
const NUMBER_BYTES: Readonly<Record<DeviceNumber, number>> = { float32: 4, float16: 2 };

/**
 * Measures a device through the same runtime, in the numbers that the engine computes in. A run is over when its one result is
 * back, so each rate is taken from two graphs that differ only in how often they repeat a node: what else a run costs (the way to
 * the device, uploads, the wait) is the same for both and cancels.
 */
export async function openDeviceMeter(type: DeviceNumber, size: DeviceMeterSize = DEFAULT_SIZE): Promise<RateMeter> {
  const { productRows, copyValues, repeats } = size;
  const graphs = {
    products: await openPair((count) => buildProducts(type, productRows, count), repeats, productFeeds(productRows)),
    copies: await openPair((count) => buildCopies(type, copyValues, count), repeats, {
      row: new Tensor("float32", randomValues(COPY_COLUMNS, 1, 3), [1, COPY_COLUMNS]),
    }),
  };
  return {
    async measure() {
      const productSeconds = await graphs.products.secondsPerNode();
      const copySeconds = await graphs.copies.secondsPerNode();
      return {
        flopsPerSecond: (2 * productRows ** 3) / productSeconds,
        bytesPerSecond: (2 * copyValues * NUMBER_BYTES[type]) / copySeconds, // Each node reads the tensor and writes another.
      };
    },
    async [Symbol.asyncDispose]() {
      for (const pair of [graphs.products, graphs.copies]) await pair.release();
    },
  };
}

interface GraphPair {
  secondsPerNode(): Promise<number>;
  release(): Promise<void>;
}

async function openPair(build: (count: number) => Uint8Array, repeats: number, feeds: Record<string, Tensor>): Promise<GraphPair> {
  const open = async (count: number) => {
    const session = await InferenceSession.create(build(count), { executionProviders: ["webgpu"], graphOptimizationLevel: "disabled" });
    await session.run(feeds); // The first run compiles and allocates.
    return session;
  };
  const [short, long] = [await open(SHORT_REPEATS), await open(repeats)];
  return {
    async secondsPerNode() {
      let [shortMs, longMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (let turn = 0; turn < TURNS; turn++) {
        shortMs = Math.min(shortMs, await runMs(short, feeds));
        longMs = Math.min(longMs, await runMs(long, feeds));
      }
      return (longMs - shortMs) / 1000 / (repeats - SHORT_REPEATS);
    },
    async release() {
      await short.release();
      await long.release();
    },
  };
}

async function runMs(session: InferenceSession, feeds: Record<string, Tensor>): Promise<number> {
  const startedMs = performance.now();
  await session.run(feeds);
  return performance.now() - startedMs;
}

function productFeeds(rows: number): Record<string, Tensor> {
  const matrix = (seed: number) => new Tensor("float32", randomValues(rows * rows, 1 / Math.sqrt(rows), seed), [rows, rows]);
  return { x: matrix(1), weight: matrix(2) };
}

/** x · weight · weight · …, of which one number comes back. */
function buildProducts(type: DeviceNumber, rows: number, count: number): Uint8Array {
  const graph = new GraphBuilder();
  const input = (name: string) => graph.op("Cast", [graph.input(name, "float32", [rows, rows])], { to: NUMBER_TYPES[type] });
  let x = input("x");
  const weight = input("weight");
  for (let index = 0; index < count; index++) x = graph.op("MatMul", [x, weight]);
  return finish(graph, x);
}

/** A large tensor negated again and again: one read and one write each time. */
function buildCopies(type: DeviceNumber, values: number, count: number): Uint8Array {
  const graph = new GraphBuilder();
  const row = graph.op("Cast", [graph.input("row", "float32", [1, COPY_COLUMNS])], { to: NUMBER_TYPES[type] });
  let x: Value = graph.op("Expand", [row, graph.integers([values / COPY_COLUMNS, COPY_COLUMNS])]);
  for (let index = 0; index < count; index++) x = graph.op("Neg", [x]);
  return finish(graph, x);
}

function finish(graph: GraphBuilder, x: Value): Uint8Array {
  const wide = graph.op("Cast", [graph.op("ReduceMax", [x, graph.integers([0, 1])], { keepdims: 0n })], { to: NUMBER_TYPES.float32 });
  graph.output("largest", wide, "float32", []);
  return graph.finish();
}
