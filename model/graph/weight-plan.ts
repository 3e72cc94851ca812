import { assert } from "#kernel";
import type { Checkpoint, TensorLocation } from "../checkpoint/contract.ts";
import { readTensorFloat32 } from "../safetensors/index.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";
import type { MatrixShape } from "./matrix.ts";
import type { ElementType } from "./onnx-model.ts";

/** Reads what one noted entry needs: the bytes of one constant, or of several that are made from the same tensors. */
type Source = () => Promise<readonly WeightData[]>;

/** A constant that is made from tensors; it is named after them. */
export interface ConvertedPart {
  readonly suffix: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

type Values = Uint8Array<ArrayBuffer> | Int8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** The bytes of one constant of the graph, as the runtime's option `externalData` takes them. */
export interface WeightData {
  readonly path: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Notes, while a graph is built, which constants it needs; reads them afterwards. All are float32 in memory, whatever is stored, but those that are converted. */
export class WeightPlan {
  readonly #checkpoint: Pick<Checkpoint, "tensors">;
  readonly #graph: GraphBuilder;
  readonly #sources = new Map<string, Source>();

  constructor(checkpoint: Pick<Checkpoint, "tensors">, graph: GraphBuilder) {
    this.#checkpoint = checkpoint;
    this.#graph = graph;
  }

  /** One tensor as stored, or several of them stacked along their first dimension. */
  stored(...names: readonly string[]): Value {
    const tensors = names.map((name) => this.#locate(name));
    const firstSize = tensors.reduce((sum, { shape }) => sum + shape[0]!, 0);
    return this.#add(names.join("+"), [firstSize, ...tensors[0]!.shape.slice(1)], () => readStacked(tensors));
  }

  /** Stacked linear weights as the filters of a convolution over single points: [outputSize, inputSize, 1, 1]. */
  filters(names: readonly string[], matrix: MatrixShape): Value {
    const { inputSize, outputSize, order } = matrix;
    const part = { suffix: "filters", type: "float32", shape: [outputSize, inputSize, 1, 1] } as const;
    const convert = (values: Float32Array<ArrayBuffer>) => [order === "out_in" ? values : transposed(values, inputSize)];
    return this.converted(names, [part], convert)[0]!;
  }

  /** Several constants made from the values of tensors, stacked as by {@link stored}; of these, only one such stack is in memory at a time. */
  converted(
    names: readonly string[],
    parts: readonly ConvertedPart[],
    convert: (values: Float32Array<ArrayBuffer>) => readonly Values[],
  ): readonly Value[] {
    const tensors = names.map((name) => this.#locate(name));
    const paths = parts.map(({ suffix }) => `${names.join("+")}.${suffix}`);
    this.#sources.set(paths.join("&"), async () => {
      const converted = convert(await readStacked(tensors));
      return paths.map((path, index) => ({ path, data: bytesOf(converted[index]!) }));
    });
    return parts.map(({ type, shape }, index) => this.#graph.weight(paths[index]!, shape, type));
  }

  computed(name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>): Value {
    return this.#add(name, shape, async () => values);
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  /** Reads everything that was noted. Faults: those of the safetensors reader. */
  async read(): Promise<readonly WeightData[]> {
    const weights: WeightData[] = [];
    for (const read of this.#sources.values()) weights.push(...(await read()));
    return weights;
  }

  #add(name: string, shape: readonly number[], read: () => Promise<Float32Array<ArrayBuffer>>): Value {
    this.#sources.set(name, async () => [{ path: name, data: bytesOf(await read()) }]);
    return this.#graph.weight(name, shape);
  }

  #locate(name: string): TensorLocation {
    const tensor = this.#checkpoint.tensors.get(name);
    assert(tensor, `an opened checkpoint has all tensors of its architecture, but not ${name}`);
    return tensor;
  }
}

/** Tensors of a checkpoint, one after another along their first dimension, as float32. Faults: those of the safetensors reader. */
export async function readStacked(tensors: readonly TensorLocation[]): Promise<Float32Array<ArrayBuffer>> {
  const parts: Float32Array<ArrayBuffer>[] = [];
  for (const tensor of tensors) parts.push(await readTensorFloat32(tensor));
  if (parts.length === 1) return parts[0]!;
  const stacked = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    stacked.set(part, end);
    end += part.length;
  }
  return stacked;
}

/** [rows, n] to [n, rows], by columns of a few lines of the cache. */
function transposed(values: Float32Array, rows: number): Float32Array<ArrayBuffer> {
  const columns = values.length / rows;
  const result = new Float32Array(values.length);
  for (let first = 0; first < columns; first += TILE) {
    const end = Math.min(first + TILE, columns);
    for (let row = 0; row < rows; row++) {
      for (let column = first; column < end; column++) result[column * rows + row] = values[row * columns + column]!;
    }
  }
  return result;
}

const TILE = 16;

function bytesOf(values: Values): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
