import type { Tensor } from "onnxruntime-node";
import { assert, type Bytes, type Tokens } from "#kernel";
import { type BaseInfo, presentNames } from "#model";
import type { Feeds } from "./contract.ts";
import { type DeviceMemory, sizeBytes, viewOf } from "./device-memory.ts";

/** What a graph reads of the cache, and where it writes: the same memory. */
export interface BoundCache {
  readonly feeds: Feeds;
  readonly fetches: Feeds;
}

interface DeviceBank {
  slots: number;
  /** Keys and values of layer 0, of layer 1, …: [slots, kvHeads, capacity, headSize]. */
  readonly tensors: Tensor[];
}

/** Keys and values on the device: a tensor per layer, kind and bank. What lies in which slot is for {@link SlotBanks} to know. */
export class DeviceCache {
  readonly #base: BaseInfo;
  readonly #memory: DeviceMemory;
  readonly #banks = new Map<Tokens, DeviceBank>();

  constructor(base: BaseInfo, memory: DeviceMemory) {
    this.#base = base;
    this.#memory = memory;
  }

  get memoryBytes(): Bytes {
    let bytes = 0;
    for (const { tensors } of this.#banks.values()) {
      for (const tensor of tensors) bytes += sizeBytes(this.#memory.type, tensor.dims);
    }
    return bytes;
  }

  /** Gives every bank as many slots as `sizes` say: first what is given up, then what grows, so that the two never stand side by side. */
  async follow(sizes: ReadonlyMap<Tokens, number>): Promise<void> {
    for (const [capacity, bank] of this.#banks) {
      const slots = sizes.get(capacity) ?? 0;
      if (slots === 0) this.#drop(capacity);
      else if (slots < bank.slots) await this.#resize(bank, slots);
    }
    for (const [capacity, slots] of sizes) {
      const bank = this.#banks.get(capacity);
      if (bank === undefined) await this.#add(capacity, slots);
      else if (slots > bank.slots) await this.#resize(bank, slots);
    }
  }

  /** The first `slots` slots of a bank, as both graphs take them. */
  bind(capacity: Tokens, slots: number, flat: boolean): BoundCache {
    const bank = this.#banks.get(capacity);
    assert(bank && slots <= bank.slots, "the device has followed the banks");
    const { kvHeadCount, headSize, layerCount } = this.#base;
    const feeds: Feeds = {};
    const fetches: Feeds = {};
    for (let layer = 0; layer < layerCount; layer++) {
      const names = presentNames(layer);
      for (const [kind, { past, flat: flatName, present }] of [names.key, names.value].entries()) {
        const tensor = bank.tensors[2 * layer + kind]!;
        feeds[past] = viewOf(tensor, [slots, kvHeadCount, capacity, headSize]);
        fetches[present] = feeds[past];
        if (flat) fetches[present] = feeds[flatName] = viewOf(tensor, [slots * kvHeadCount * capacity, headSize]);
      }
    }
    return { feeds, fetches };
  }

  dispose(): void {
    for (const capacity of this.#banks.keys()) this.#drop(capacity);
  }

  async #add(capacity: Tokens, slots: number): Promise<void> {
    const { kvHeadCount, headSize, layerCount } = this.#base;
    const bank: DeviceBank = { slots, tensors: [] };
    this.#banks.set(capacity, bank);
    for (let index = 0; index < 2 * layerCount; index++) {
      bank.tensors.push(await this.#memory.zeros([slots, kvHeadCount, capacity, headSize]));
    }
  }

  /** One tensor after another: no more than one of them stands twice on the device. */
  async #resize(bank: DeviceBank, slots: number): Promise<void> {
    for (const [index, tensor] of bank.tensors.entries()) bank.tensors[index] = await this.#memory.resize(tensor, bank.slots, slots);
    bank.slots = slots;
  }

  #drop(capacity: Tokens): void {
    for (const tensor of this.#banks.get(capacity)!.tensors) tensor.dispose();
    this.#banks.delete(capacity);
  }
}
