import { assert } from "#kernel";
import type { Checkpoint, TensorLocation } from "../checkpoint/contract.ts";
import type { DeviceFloat } from "./device-values.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";
import { readStacked } from "./weight-plan.ts";

/** One constant of the graphs, to be put on the device once. */
export interface DeviceWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** As float32, whatever the checkpoint stores. Faults: those of the safetensors reader. */
  read(): Promise<Float32Array<ArrayBuffer>>;
}

/** Notes which constants the graphs of a device need. They are inputs there, so that all graphs share what is on the device once. */
export class DeviceWeights {
  readonly type: DeviceFloat;
  readonly #checkpoint: Checkpoint;
  readonly #weights = new Map<string, DeviceWeight>();

  constructor(checkpoint: Checkpoint, type: DeviceFloat) {
    this.#checkpoint = checkpoint;
    this.type = type;
  }

  /** Everything that any graph asked for so far. */
  get all(): readonly DeviceWeight[] {
    return [...this.#weights.values()];
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  /** One tensor as stored, or several of them stacked along their first dimension. */
  stored(...names: readonly string[]): Value {
    const tensors = names.map((name) => this.#locate(name));
    const firstSize = tensors.reduce((sum, { shape }) => sum + shape[0]!, 0);
    return this.#add(names.join("+"), [firstSize, ...tensors[0]!.shape.slice(1)], () => readStacked(tensors));
  }

  computed(name: string, shape: readonly number[], compute: () => Float32Array<ArrayBuffer>): Value {
    return this.#add(name, shape, () => Promise.resolve(compute()));
  }

  /** Declares these constants as inputs of a graph. */
  declare(graph: GraphBuilder, names: Iterable<string>): void {
    for (const name of names) graph.input(name, this.type, this.#weights.get(name)!.shape);
  }

  #add(name: string, shape: readonly number[], read: DeviceWeight["read"]): Value {
    this.#weights.set(name, { name, shape, read });
    return name;
  }

  #locate(name: string): TensorLocation {
    const tensor = this.#checkpoint.tensors.get(name);
    assert(tensor, `an opened checkpoint has all tensors of its architecture, but not ${name}`);
    return tensor;
  }
}
