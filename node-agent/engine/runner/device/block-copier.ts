import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Tokens } from "#kernel";
import { type BaseInfo, type DeviceFloat, GraphBuilder } from "#model";
import type { Feeds } from "./contract.ts";
import { type DeviceMemory, integers, viewOf } from "./device-memory.ts";
import { CAPACITY_UNIT } from "./slot-banks.ts";

/** So many blocks are copied in one run: what they are gathered into stands beside the cache meanwhile. */
const RUN_BLOCKS_MAX = 8;

const names = (index: number) => ({ source: `source.${index}`, target: `target.${index}`, written: `written.${index}` });

/** Where blocks lie: in keys and values of all layers, each [slots, kvHeads, slotTokens, headSize]. */
export interface CopySide {
  readonly tensors: readonly Tensor[];
  readonly slotTokens: Tokens;
  /** Counted through the slots. */
  readonly blocks: readonly number[];
}

/** Copies blocks of the cache on the device, in all layers at once. Only places go over the bus: 12 bytes per block and key head. */
export class BlockCopier implements AsyncDisposable {
  readonly #base: BaseInfo;
  readonly #memory: DeviceMemory;
  /** Loaded when something is first to be copied. */
  #session: InferenceSession | undefined;

  constructor(base: BaseInfo, memory: DeviceMemory) {
    this.#base = base;
    this.#memory = memory;
  }

  /** Source and target may be the same tensors, but no block both read and written. */
  async copy(source: CopySide, target: CopySide): Promise<void> {
    this.#session ??= await InferenceSession.create(buildCopies(this.#base, this.#memory.type), { executionProviders: ["webgpu"] });
    const { feeds, fetches } = this.#tensors(source, target);
    for (let done = 0; done < source.blocks.length; done += RUN_BLOCKS_MAX) {
      const [from, to] = [source, target].map((side) => this.#rows(side, done, done + RUN_BLOCKS_MAX)) as [number[], number[]];
      const places = { from: integers(from, [from.length]), to: new Tensor("int32", Int32Array.from(to), [to.length, 1]) };
      await this.#memory.run(this.#session, { ...feeds, ...places }, fetches);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.release();
  }

  /** Each tensor seen as rows of one block and key head. No preferred location: what is written is the target itself. */
  #tensors(source: CopySide, target: CopySide): { readonly feeds: Feeds; readonly fetches: Feeds } {
    const feeds: Feeds = {};
    const fetches: Feeds = {};
    for (let index = 0; index < 2 * this.#base.layerCount; index++) {
      const name = names(index);
      feeds[name.source] = this.#rowsOf(source.tensors[index]!);
      feeds[name.target] = fetches[name.written] = this.#rowsOf(target.tensors[index]!);
    }
    return { feeds, fetches };
  }

  #rowsOf(tensor: Tensor): Tensor {
    const rowSize = CAPACITY_UNIT * this.#base.headSize;
    return viewOf(tensor, [tensor.dims.reduce((product, size) => product * size, 1) / rowSize, rowSize]);
  }

  #rows({ slotTokens, blocks }: CopySide, start: number, end: number): number[] {
    const { kvHeadCount } = this.#base;
    const slotBlocks = slotTokens / CAPACITY_UNIT;
    return blocks.slice(start, end).flatMap((block) => {
      const [slot, within] = [Math.floor(block / slotBlocks), block % slotBlocks];
      return Array.from({ length: kvHeadCount }, (_, head) => (slot * kvHeadCount + head) * slotBlocks + within);
    });
  }
}

function buildCopies({ layerCount, headSize }: BaseInfo, type: DeviceFloat): Uint8Array {
  const rowSize = CAPACITY_UNIT * headSize;
  const graph = new GraphBuilder();
  const from = graph.input("from", "int64", ["rows"]);
  // In 32 bits, which the provider can expand.
  const to = graph.op("Expand", [graph.input("to", "int32", ["rows", 1]), graph.integers([1, rowSize])]);
  for (let index = 0; index < 2 * layerCount; index++) {
    const name = names(index);
    const source = graph.input(name.source, type, ["source_rows", rowSize]);
    const target = graph.input(name.target, type, ["target_rows", rowSize]);
    const rows = graph.op("Gather", [source, from], { axis: 0n });
    graph.output(name.written, graph.op("ScatterElements", [target, to, rows], { axis: 0n }), type, ["target_rows", rowSize]);
  }
  return graph.finish();
}
