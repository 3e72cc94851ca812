import { InferenceSession, Tensor } from "onnxruntime-node";
import { assert, type Bytes } from "#kernel";
import {
  type BaseInfo,
  buildDeltaUpload,
  DELTA_INPUTS,
  DELTA_PAGES,
  DEVICE_DELTA_PART,
  type DeltaLayer,
  deltaTableNames,
  type LinearSite,
  type LoadedDelta,
  PAGE_RANKS,
  UPLOAD_VALUES,
} from "#model";
import type { Slot } from "../../contract.ts";
import type { RunnerLimits } from "../contract.ts";
import { placeTokens } from "../cpu/delta-places.ts";
import type { DeviceDeltas, Feeds } from "./contract.ts";
import { DeltaPages } from "./delta-pages.ts";
import { type DeviceMemory, integers, sizeBytes, viewOf } from "./device-memory.ts";

/** So much goes to the device between two steps: a fraction of a millisecond of a bus, so that running rows hardly notice. */
const PART_BYTES: Bytes = 4 * 1024 * 1024;

/** One table of one linear layer: A or B, [ranks, size] on the device. */
interface Table {
  readonly site: LinearSite;
  readonly name: string;
  readonly side: "a" | "b";
  readonly size: number;
  readonly tensor: Tensor;
}

/** A delta that is not all there yet. */
interface Filling {
  readonly layers: ReadonlyMap<string, DeltaLayer>;
  /** Of the tables, in groups. */
  groupsDone: number;
}

/**
 * The tables of all attached deltas on a device, a pair for each linear layer. A delta has the same pages of all tables, which need not
 * lie together. Page 0 is nobody's and zero: it fills up the chunks of a step that have room left.
 */
export class PagedDeltas implements DeviceDeltas {
  readonly part = DEVICE_DELTA_PART;
  readonly memoryBytes: Bytes;
  readonly #memory: DeviceMemory;
  readonly #upload: InferenceSession;
  /** Those that are filled in one run: of one layer of the base. */
  readonly #groups: readonly (readonly Table[])[];
  readonly #pages: DeltaPages;
  readonly #filling = new Map<Slot, Filling>();
  readonly #tableFeeds: Feeds;
  readonly #partBytes: Bytes;

  /** Takes all memory at once, so that nothing later fails for the lack of it. */
  static async open(base: BaseInfo, limits: RunnerLimits, memory: DeviceMemory, partBytes = PART_BYTES): Promise<PagedDeltas> {
    const pages = new DeltaPages(limits.slotsMax, Math.floor(limits.tableRanksMax / PAGE_RANKS));
    const groupSites = base.linears.length / base.layerCount;
    assert(Number.isInteger(groupSites), "all layers of a base have the same linears");
    const tables: Table[] = [];
    for (const site of base.linears) {
      for (const side of ["a", "b"] as const) {
        const size = side === "a" ? site.inputSize : site.outputSize;
        const tensor = await memory.zeros([pages.count * PAGE_RANKS, size]);
        tables.push({ site, name: deltaTableNames(site.site)[side], side, size, tensor });
      }
    }
    const groups = Array.from({ length: base.layerCount }, (_, layer) =>
      tables.slice(2 * groupSites * layer, 2 * groupSites * (layer + 1)),
    );
    const sizes = groups[0]!.map(({ size }) => size);
    const upload = await InferenceSession.create(buildDeltaUpload(sizes, memory.type), { executionProviders: ["webgpu"] });
    return new PagedDeltas(memory, upload, groups, pages, partBytes);
  }

  private constructor(
    memory: DeviceMemory,
    upload: InferenceSession,
    groups: readonly (readonly Table[])[],
    pages: DeltaPages,
    partBytes: Bytes,
  ) {
    this.#memory = memory;
    this.#upload = upload;
    this.#groups = groups;
    this.#pages = pages;
    this.#partBytes = partBytes;
    const tables = groups.flat();
    this.memoryBytes = tables.reduce((sum, { tensor }) => sum + sizeBytes(memory.type, tensor.dims), 0);
    this.#tableFeeds = Object.fromEntries(tables.map(({ name, size, tensor }) => [name, viewOf(tensor, [pages.count, PAGE_RANKS, size])]));
  }

  attach(delta: LoadedDelta): Slot | undefined {
    const slot = this.#pages.take(delta.rank);
    if (slot === undefined) return undefined;
    this.#filling.set(slot, { layers: new Map(delta.layers.map((layer) => [layer.site, layer])), groupsDone: 0 });
    return slot;
  }

  async fill(slot: Slot): Promise<boolean> {
    const filling = this.#filling.get(slot);
    assert(filling, `slot ${slot} is attached and not filled`);
    const pages = this.#pages.of(slot);
    for (let bytes = 0; bytes < this.#partBytes && filling.groupsDone < this.#groups.length; filling.groupsDone++) {
      bytes += await this.#fillGroup(this.#groups[filling.groupsDone]!, pages, filling.layers);
    }
    if (filling.groupsDone < this.#groups.length) return false;
    this.#filling.delete(slot);
    return true;
  }

  detach(slot: Slot): void {
    this.#filling.delete(slot);
    this.#pages.giveBack(slot);
  }

  feeds(slotOfToken: readonly (Slot | undefined)[]): Feeds {
    const active = new Set(slotOfToken.filter((slot) => slot !== undefined));
    for (const slot of active) assert(!this.#filling.has(slot), `slot ${slot} is filled`);
    const bound = this.#pages.bind(active);
    const { chunkCount, chunkRanks } = bound;
    const { placeCount, places, select, origins } = placeTokens(slotOfToken, 1, bound);
    return {
      [DELTA_PAGES]: integers(bound.pages, [chunkCount, chunkRanks / PAGE_RANKS]),
      [DELTA_INPUTS.places]: new Tensor("int64", places, [chunkCount, placeCount]),
      [DELTA_INPUTS.select]: new Tensor("bool", select, [chunkCount, placeCount, chunkRanks]),
      [DELTA_INPUTS.origins]: new Tensor("int64", origins, [origins.length]),
      ...this.#tableFeeds,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { tensor } of this.#groups.flat()) tensor.dispose();
    await this.#upload.release();
  }

  /** Writes every rank of the pages in every table: what a delta leaves out is zero, whoever had the pages before. Gives the bytes sent. */
  async #fillGroup(group: readonly Table[], pages: readonly number[], layers: ReadonlyMap<string, DeltaLayer>): Promise<Bytes> {
    const ranks = pages.flatMap((page) => Array.from({ length: PAGE_RANKS }, (_, rank) => page * PAGE_RANKS + rank));
    const feeds: Feeds = { [UPLOAD_VALUES.ranks]: new Tensor("int32", Int32Array.from(ranks), [ranks.length, 1]) };
    const fetches: Record<string, Tensor> = {};
    let bytes = 0;
    for (const [index, { site, side, size, tensor }] of group.entries()) {
      const values = ranksOf(layers.get(site.site), side, size, ranks.length);
      feeds[UPLOAD_VALUES.table(index)] = tensor;
      feeds[UPLOAD_VALUES.values(index)] = values;
      feeds[UPLOAD_VALUES.shape(index)] = integers([ranks.length, size], [2]);
      fetches[UPLOAD_VALUES.written(index)] = tensor;
      bytes += sizeBytes("float32", values.dims);
    }
    await this.#memory.run(this.#upload, feeds, fetches);
    return bytes;
  }
}

/** One side of a layer, filled up to `rankCount` ranks; a single zero for all of them where the delta has no such layer. */
function ranksOf(layer: DeltaLayer | undefined, side: "a" | "b", size: number, rankCount: number): Tensor {
  if (!layer) return new Tensor("float32", new Float32Array(1), [1, 1]);
  if (layer.rank === rankCount) return new Tensor("float32", layer[side], [rankCount, size]);
  const filled = new Float32Array(rankCount * size);
  filled.set(layer[side]);
  return new Tensor("float32", filled, [rankCount, size]);
}
