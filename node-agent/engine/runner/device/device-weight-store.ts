import type { Tensor } from "onnxruntime-node";
import type { Bytes } from "#kernel";
import type { DeviceWeights } from "#model";
import type { Feeds } from "./contract.ts";
import { type DeviceMemory, sizeBytes } from "./device-memory.ts";

/** The base's constants on the device, once for all graphs. */
export class DeviceWeightStore {
  readonly memoryBytes: Bytes;
  readonly #tensors: ReadonlyMap<string, Tensor>;

  private constructor(tensors: ReadonlyMap<string, Tensor>, memoryBytes: Bytes) {
    this.#tensors = tensors;
    this.memoryBytes = memoryBytes;
  }

  /** Reads and uploads one tensor, or stack of tensors, after another: the largest of them stands in the process's memory, never all. */
  static async load(weights: DeviceWeights, memory: DeviceMemory): Promise<DeviceWeightStore> {
    const tensors = new Map<string, Tensor>();
    let bytes = 0;
    for (const { constants, read } of weights.all) {
      for (const [index, values] of (await read()).entries()) {
        const { name, type, shape } = constants[index]!;
        tensors.set(name, await memory.upload(values, shape));
        bytes += sizeBytes(type, shape);
      }
    }
    return new DeviceWeightStore(tensors, bytes);
  }

  /** Those that a session asks for. */
  feeds(inputNames: readonly string[]): Feeds {
    return Object.fromEntries(inputNames.flatMap((name) => (this.#tensors.has(name) ? [[name, this.#tensors.get(name)!]] : [])));
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
  }
}
