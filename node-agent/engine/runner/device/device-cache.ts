import type { Tensor } from "onnxruntime-node";
import { assert, type Bytes, type Tokens } from "#kernel";
import { type BaseInfo, presentNames } from "#model";
import { BlockCopier } from "./block-copier.ts";
import type { Feeds } from "./contract.ts";
import { type DeviceMemory, sizeBytes, viewOf } from "./device-memory.ts";
import { CAPACITY_UNIT, type CacheBlocks, type CacheCopy, type CacheLayout } from "./slot-banks.ts";

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

/** Keys and values on the device: a tensor per layer, kind and bank; what is kept is like a bank whose slots are blocks. What lies in which slot is for {@link SlotBanks} to know. */
export class DeviceCache {
  readonly #base: BaseInfo;
  readonly #memory: DeviceMemory;
  readonly #banks = new Map<CacheBlocks["part"], DeviceBank>();
  readonly #copier: BlockCopier;

  constructor(base: BaseInfo, memory: DeviceMemory) {
    this.#base = base;
    this.#memory = memory;
    this.#copier = new BlockCopier(base, memory);
  }

  get memoryBytes(): Bytes {
    let bytes = 0;
    for (const { tensors } of this.#banks.values()) {
      for (const tensor of tensors) bytes += sizeBytes(this.#memory.type, tensor.dims);
    }
    return bytes;
  }

  /** Gives every part its size: first what is given up, then what grows, so that the two never stand side by side. */
  async follow({ banks, keptBlocks }: CacheLayout): Promise<void> {
    const sizes = new Map<CacheBlocks["part"], number>(banks);
    if (keptBlocks > 0) sizes.set("kept", keptBlocks);
    for (const [part, bank] of this.#banks) {
      const slots = sizes.get(part) ?? 0;
      if (slots === 0) this.#drop(part);
      else if (slots < bank.slots) await this.#resize(bank, slots);
    }
    for (const [part, slots] of sizes) {
      const bank = this.#banks.get(part);
      if (bank === undefined) await this.#add(part, slots);
      else if (slots > bank.slots) await this.#resize(bank, slots);
    }
  }

  /** In the layout that the copy was asked for in. */
  async copy({ layout, from, to }: CacheCopy): Promise<void> {
    await this.follow(layout);
    const [source, target] = [this.#banks.get(from.part), this.#banks.get(to.part)];
    assert(source && target, "the device has followed the banks");
    await this.#copier.copy(
      { tensors: source.tensors, slotTokens: slotTokens(from.part), blocks: from.blocks },
      { tensors: target.tensors, slotTokens: slotTokens(to.part), blocks: to.blocks },
    );
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

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#banks.keys()) this.#drop(part);
    await this.#copier[Symbol.asyncDispose]();
  }

  async #add(part: CacheBlocks["part"], slots: number): Promise<void> {
    const { kvHeadCount, headSize, layerCount } = this.#base;
    const bank: DeviceBank = { slots, tensors: [] };
    this.#banks.set(part, bank);
    for (let index = 0; index < 2 * layerCount; index++) {
      bank.tensors.push(await this.#memory.zeros([slots, kvHeadCount, slotTokens(part), headSize]));
    }
  }

  /** One tensor after another: no more than one of them stands twice on the device. */
  async #resize(bank: DeviceBank, slots: number): Promise<void> {
    for (const [index, tensor] of bank.tensors.entries()) bank.tensors[index] = await this.#memory.resize(tensor, bank.slots, slots);
    bank.slots = slots;
  }

  #drop(part: CacheBlocks["part"]): void {
    for (const tensor of this.#banks.get(part)!.tensors) tensor.dispose();
    this.#banks.delete(part);
  }
}

function slotTokens(part: CacheBlocks["part"]): Tokens {
  return part === "kept" ? CAPACITY_UNIT : part;
}
