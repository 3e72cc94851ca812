import { InferenceSession, type Tensor } from "onnxruntime-node";
import type { Bytes } from "#kernel";
import { DEVICE_VALUES, GraphBuilder, TOP_VALUES, topCount } from "#model";
import type { RowLogits, StepRow, TopLogits } from "../contract.ts";
import type { Feeds } from "./contract.ts";
import { type DeviceMemory, integers, sizeBytes, viewOf } from "./device-memory.ts";

/**
 * What comes back of a batch's logits: all of those that are wanted; or, where a row is content with the largest, these, and of the
 * other rows all, while everything stays on the device until the next step.
 */
export class DeviceLogits {
  readonly #memory: DeviceMemory;
  readonly #vocabularySize: number;
  /** Of one batch each: a step may have several. */
  readonly #kept: Tensor[] = [];
  #keptUsed = 0;
  #pick: InferenceSession | undefined;

  constructor(memory: DeviceMemory, vocabularySize: number) {
    this.#memory = memory;
    this.#vocabularySize = vocabularySize;
  }

  /** What the logits that stay on the device take there. */
  get memoryBytes(): Bytes {
    return this.#kept.reduce((sum, tensor) => sum + sizeBytes("float32", tensor.dims), 0);
  }

  /** A new step: what the last one left on the device may be overwritten. */
  begin(): void {
    this.#keptUsed = 0;
  }

  /** What the graph of a batch is to give, by name: null for what comes back, memory on the device for what stays. */
  async fetches(rows: readonly StepRow[]): Promise<Record<string, Tensor | null>> {
    if (rows.every(({ logits }) => logits === "none")) return {};
    if (!wantsTop(rows)) return { [DEVICE_VALUES.logits]: null };
    const wanted = rows.reduce((sum, row) => sum + wantedCount(row), 0);
    const logits = viewOf(await this.#keep(wanted), [wanted, this.#vocabularySize]);
    return { [DEVICE_VALUES.logits]: logits, [TOP_VALUES.ids]: null, [TOP_VALUES.logits]: null, [TOP_VALUES.sums]: null };
  }

  /** The logits of each row of a batch, in its order. */
  async read(rows: readonly StepRow[], outputs: Feeds): Promise<readonly RowLogits[]> {
    const logits = outputs[DEVICE_VALUES.logits];
    if (!logits) return rows.map(() => new Float32Array(0));
    if (wantsTop(rows)) return await this.#readTop(rows, outputs, logits);
    const all = logits.data as Float32Array;
    let from = 0;
    return rows.map((row) => {
      const size = wantedCount(row) * this.#vocabularySize;
      from += size;
      return all.subarray(from - size, from);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const tensor of this.#kept) tensor.dispose();
    this.#kept.length = 0;
    await this.#pick?.release();
    this.#pick = undefined;
  }

  async #readTop(rows: readonly StepRow[], outputs: Feeds, logits: Tensor): Promise<readonly RowLogits[]> {
    const count = topCount(this.#vocabularySize);
    const ids = outputs[TOP_VALUES.ids]!.data as Int32Array;
    const largest = outputs[TOP_VALUES.logits]!.data as Float32Array;
    const sums = outputs[TOP_VALUES.sums]!.data as Float32Array;
    const found: RowLogits[] = [];
    let next = 0;
    for (const step of rows) {
      const tokens = Array.from({ length: wantedCount(step) }, () => next++);
      const at = tokens[0];
      if (at === undefined || step.logits !== "top") {
        found.push(at === undefined ? new Float32Array(0) : await this.#fetch(logits, tokens));
        continue;
      }
      const top: TopLogits = {
        ids: ids.subarray(at * count, (at + 1) * count),
        logits: largest.subarray(at * count, (at + 1) * count),
        logSumExp: largest[at * count]! + Math.log(sums[at]!),
        dense: () => this.#fetch(logits, tokens),
      };
      found.push(top);
    }
    return found;
  }

  /** Some tokens of the logits that stayed on the device. */
  async #fetch(logits: Tensor, tokens: readonly number[]): Promise<Float32Array> {
    this.#pick ??= await InferenceSession.create(buildPick(this.#vocabularySize), { executionProviders: ["webgpu"] });
    const outputs = await this.#memory.run(this.#pick, { logits, tokens: integers(tokens, [tokens.length]) }, { picked: null });
    return outputs["picked"]!.data as Float32Array;
  }

  /** Memory for so many logits, which no other batch of the step uses. */
  async #keep(wanted: number): Promise<Tensor> {
    const index = this.#keptUsed++;
    const known = this.#kept[index];
    if (known && known.dims[0]! >= wanted) return known;
    known?.dispose();
    this.#kept[index] = await this.#memory.zeros([2 ** Math.ceil(Math.log2(wanted)), this.#vocabularySize], "float32");
    return this.#kept[index];
  }
}

/** Whether any row is content with the largest. */
export function wantsTop(rows: readonly StepRow[]): boolean {
  return rows.some(({ logits }) => logits === "top");
}

/** For how many of its tokens a row wants logits. */
function wantedCount({ tokens, logits }: StepRow): number {
  return logits === "all" ? tokens.length : logits === "none" ? 0 : 1;
}

function buildPick(vocabularySize: number): Uint8Array {
  const graph = new GraphBuilder();
  const logits = graph.input("logits", "float32", ["wanted", vocabularySize]);
  const picked = graph.op("Gather", [logits, graph.input("tokens", "int64", ["picked"])], { axis: 0n });
  graph.output("picked", picked, "float32", ["picked", vocabularySize]);
  return graph.finish();
}
