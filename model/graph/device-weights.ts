import { assert } from "#kernel";
import type { Checkpoint, TensorLocation } from "../checkpoint/contract.ts";
import { type BlockFormat, blockShapes, quantiseBlocks } from "./block-quantiser.ts";
import type { DeviceFloat } from "./device-values.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";
import type { MatrixShape } from "./matrix.ts";
import { readStacked } from "./weight-plan.ts";

/** One constant of the graphs. */
export interface DeviceConstant {
  readonly name: string;
  readonly type: DeviceFloat | "uint8";
  readonly shape: readonly number[];
}

/** What is made of one stack of tensors, to be put on the device once. */
export interface DeviceWeight {
  readonly constants: readonly DeviceConstant[];
  /** The values of each constant; floats are float32, whatever the checkpoint stores. Faults: those of the safetensors reader. */
  read(): Promise<readonly (Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>)[]>;
}

/** Notes which constants the graphs of a device need. They are inputs there, so that all graphs share what is on the device once. */
export class DeviceWeights {
  readonly type: DeviceFloat;
  /** Of linear layers and the head, where these are quantised. */
  readonly blocks: BlockFormat | undefined;
  readonly #checkpoint: Checkpoint;
  readonly #weights = new Map<string, DeviceWeight>();
  readonly #constants = new Map<string, DeviceConstant>();

  constructor(checkpoint: Checkpoint, type: DeviceFloat, blocks?: BlockFormat) {
    this.#checkpoint = checkpoint;
    this.type = type;
    this.blocks = blocks;
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

  /** Linear layers, stacked by output, in blocks of fewer bits. Only one such stack is in the process's memory at a time. */
  quantised(names: readonly string[], matrix: MatrixShape, format: BlockFormat): { readonly packed: Value; readonly scales: Value } {
    const tensors = names.map((name) => this.#locate(name));
    const shapes = blockShapes(matrix, format);
    const name = names.join("+");
    const packed = { name: `${name}.int${format.bits}`, type: "uint8", shape: shapes.packed } as const;
    const scales = { name: `${name}.scales`, type: this.type, shape: shapes.scales };
    this.#note(packed.name, [packed, scales], async () => {
      const quantised = quantiseBlocks({ ...matrix, values: await readStacked(tensors) }, format);
      return [quantised.packed, quantised.scales];
    });
    return { packed: packed.name, scales: scales.name };
  }

  computed(name: string, shape: readonly number[], compute: () => Float32Array<ArrayBuffer>): Value {
    return this.#add(name, shape, () => Promise.resolve(compute()));
  }

  /** Declares these constants as inputs of a graph. */
  declare(graph: GraphBuilder, names: Iterable<string>): void {
    for (const name of names) {
      const { type, shape } = this.#constants.get(name)!;
      graph.input(name, type, shape);
    }
  }

  #add(name: string, shape: readonly number[], read: () => Promise<Float32Array<ArrayBuffer>>): Value {
    this.#note(name, [{ name, type: this.type, shape }], async () => [await read()]);
    return name;
  }

  #note(key: string, constants: readonly DeviceConstant[], read: DeviceWeight["read"]): void {
    this.#weights.set(key, { constants, read });
    for (const constant of constants) this.#constants.set(constant.name, constant);
  }

  #locate(name: string): TensorLocation {
    const tensor = this.#checkpoint.tensors.get(name);
    assert(tensor, `an opened checkpoint has all tensors of its architecture, but not ${name}`);
    return tensor;
  }
}
