import { assert } from "#kernel";
import type { Checkpoint, TensorLocation } from "../checkpoint/contract.ts";
import { readTensorFloat32 } from "../safetensors/index.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";

/** Where the values of one constant come from: stored tensors one after another, or computed here. */
type Source =
  | { readonly kind: "stored"; readonly tensors: readonly TensorLocation[] }
  | { readonly kind: "computed"; readonly values: Float32Array<ArrayBuffer> };

/** The bytes of one constant of the graph, as the runtime's option `externalData` takes them. */
export interface WeightData {
  readonly path: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Notes, while a graph is built, which constants it needs; reads them afterwards. All are float32 in memory, whatever is stored. */
export class WeightPlan {
  readonly #checkpoint: Checkpoint;
  readonly #graph: GraphBuilder;
  readonly #sources = new Map<string, Source>();

  constructor(checkpoint: Checkpoint, graph: GraphBuilder) {
    this.#checkpoint = checkpoint;
    this.#graph = graph;
  }

  /** One tensor as stored, or several of them stacked along their first dimension. */
  stored(...names: readonly string[]): Value {
    const tensors = names.map((name) => this.#locate(name));
    const firstSize = tensors.reduce((sum, { shape }) => sum + shape[0]!, 0);
    return this.#add(names.join("+"), [firstSize, ...tensors[0]!.shape.slice(1)], { kind: "stored", tensors });
  }

  computed(name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>): Value {
    return this.#add(name, shape, { kind: "computed", values });
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  /** Reads everything that was noted. Faults: those of the safetensors reader. */
  async read(): Promise<readonly WeightData[]> {
    const weights: WeightData[] = [];
    for (const [path, source] of this.#sources) weights.push({ path, data: bytesOf(await readSource(source)) });
    return weights;
  }

  #add(name: string, shape: readonly number[], source: Source): Value {
    this.#sources.set(name, source);
    return this.#graph.weight(name, shape);
  }

  #locate(name: string): TensorLocation {
    const tensor = this.#checkpoint.tensors.get(name);
    assert(tensor, `an opened checkpoint has all tensors of its architecture, but not ${name}`);
    return tensor;
  }
}

async function readSource(source: Source): Promise<Float32Array<ArrayBuffer>> {
  if (source.kind === "computed") return source.values;
  const parts: Float32Array<ArrayBuffer>[] = [];
  for (const tensor of source.tensors) parts.push(await readTensorFloat32(tensor));
  if (parts.length === 1) return parts[0]!;
  const stacked = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    stacked.set(part, end);
    end += part.length;
  }
  return stacked;
}

function bytesOf(values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
