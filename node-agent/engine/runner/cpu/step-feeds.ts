import { Tensor } from "onnxruntime-node";
import type { Tokens } from "#kernel";
import { ATTENTION_INPUTS, type BaseInfo, BLOCK_TOKENS, DECODER_VALUES, DELTA_INPUTS, deltaTableNames, pastNames } from "#model";
import type { Slot } from "../../contract.ts";
import type { StepRow } from "../contract.ts";
import type { BlockWindow } from "./block-memory.ts";
import { placeTokens } from "./delta-places.ts";
import type { BoundDeltas, SiteTables } from "./delta-tables.ts";
import type { BoundBlocks } from "./kv-cache.ts";

export type Feeds = Record<string, Tensor>;

/** Added to scores that must not count: far below any score, far from overflow. */
const HIDDEN = -1e30;

/** A batch's tokens, each row padded to `span`. */
export interface BatchRow {
  readonly tokens: readonly number[];
  readonly past: Tokens;
  readonly slot: Slot | undefined;
  readonly logits: StepRow["logits"];
}

/** Token ids, positions, and the tokens for which logits are wanted: one at least, since the runtime's convolutions refuse to compute nothing. */
export function tokenFeeds(rows: readonly BatchRow[], span: number): Feeds {
  const tokens = new BigInt64Array(rows.length * span);
  const positions = new BigInt64Array(rows.length * span);
  writeTokens(tokens, positions, rows, span);
  const wanted: bigint[] = [];
  for (const [index, row] of rows.entries()) {
    for (const offset of row.tokens.keys()) {
      if (row.logits === "all" || (row.logits !== "none" && offset === row.tokens.length - 1)) wanted.push(BigInt(index * span + offset));
    }
  }
  if (wanted.length === 0) wanted.push(0n);
  return {
    [DECODER_VALUES.tokens]: integers(tokens, [tokens.length]),
    [DECODER_VALUES.positions]: integers(positions, [rows.length, span]),
    [DECODER_VALUES.wanted]: integers(BigInt64Array.from(wanted), [wanted.length]),
  };
}

/** Makes the feeds of a batch those of another that differs from it in its tokens and their positions, within the same blocks. */
export function rewriteFeeds(feeds: Feeds, rows: readonly BatchRow[], span: number): void {
  const valuesOf = <T>(name: string) => feeds[name]!.data as T;
  writeTokens(valuesOf(DECODER_VALUES.tokens), valuesOf(DECODER_VALUES.positions), rows, span);
  const mask = valuesOf<Float32Array>(ATTENTION_INPUTS.mask);
  writeMask(mask, rows, span, mask.length / (rows.length * span) - span);
}

function writeTokens(tokens: BigInt64Array, positions: BigInt64Array, rows: readonly BatchRow[], span: number): void {
  for (const [index, row] of rows.entries()) {
    for (const [offset, token] of row.tokens.entries()) {
      tokens[index * span + offset] = BigInt(token);
      positions[index * span + offset] = BigInt(row.past + offset);
    }
  }
}

/** Which blocks belong to whom, what each token may see, and all shapes. */
export function attentionFeeds(base: BaseInfo, rows: readonly BatchRow[], span: number, bound: BoundBlocks): Feeds {
  const { kvHeadCount, headSize } = base;
  const group = base.headCount / kvHeadCount;
  const depth = Math.max(...bound.rows.map((blocks) => blocks.length));
  const past = depth * BLOCK_TOKENS;
  const shapes = {
    headsShape: [rows.length, span, base.headCount + 2 * kvHeadCount, headSize],
    blocksShape: [rows.length * depth, kvHeadCount, group, span, BLOCK_TOKENS],
    blockOutputShape: [rows.length, depth, base.headCount * span * headSize],
    spans: [past, span],
  };
  const mask = new Float32Array(rows.length * span * (past + span));
  writeMask(mask, rows, span, past);
  const feeds: Feeds = {
    ...blockFeeds(bound, depth),
    [ATTENTION_INPUTS.mask]: new Tensor("float32", mask, [rows.length, 1, 1, span, past + span]),
  };
  for (const [name, shape] of Object.entries(shapes)) {
    feeds[ATTENTION_INPUTS[name as keyof typeof shapes]] = integers(BigInt64Array.from(shape, BigInt), [shape.length]);
  }
  return feeds;
}

function blockFeeds({ window, rows }: BoundBlocks, depth: number): Feeds {
  const blockRows = new BigInt64Array(window.count);
  const blockPlaces = new BigInt64Array(window.count);
  const rowBlocks = new BigInt64Array(rows.length * depth);
  const blockShares = new Float32Array(rows.length * depth);
  for (const [row, blocks] of rows.entries()) {
    rowBlocks.fill(BigInt(blocks[0] ?? 0), row * depth, (row + 1) * depth);
    for (const [order, block] of blocks.entries()) {
      const place = row * depth + order;
      blockRows[block] = BigInt(row);
      blockPlaces[block] = BigInt(place);
      rowBlocks[place] = BigInt(block);
      blockShares[place] = 1;
    }
  }
  return {
    [ATTENTION_INPUTS.blockRows]: integers(blockRows, [window.count]),
    [ATTENTION_INPUTS.blockPlaces]: integers(blockPlaces, [window.count]),
    [ATTENTION_INPUTS.rowBlocks]: integers(rowBlocks, [rows.length, depth]),
    [ATTENTION_INPUTS.blockShares]: new Tensor("float32", blockShares, [rows.length, 1, depth]),
  };
}

/** A token sees its row's filled past positions, and the new ones up to itself. */
function writeMask(mask: Float32Array, rows: readonly BatchRow[], span: number, past: number): void {
  const reach = past + span;
  for (const [index, row] of rows.entries()) {
    for (let offset = 0; offset < span; offset++) {
      const start = (index * span + offset) * reach;
      mask.fill(0, start, start + row.past);
      mask.fill(HIDDEN, start + row.past, start + past);
      mask.fill(0, start + past, start + past + offset + 1);
      mask.fill(HIDDEN, start + past + offset + 1, start + reach);
    }
  }
}

export function cacheFeeds(base: BaseInfo, { count, keys, values }: BlockWindow): Feeds {
  const shape = [count, base.kvHeadCount, 1, BLOCK_TOKENS, base.headSize];
  const feeds: Feeds = {};
  for (let layer = 0; layer < base.layerCount; layer++) {
    const names = pastNames(layer);
    feeds[names.key] = new Tensor("float32", keys[layer]!, shape);
    feeds[names.value] = new Tensor("float32", values[layer]!, shape);
  }
  return feeds;
}

/** Where each token finds its delta. */
export function deltaFeeds(rows: readonly BatchRow[], span: number, bound: BoundDeltas | undefined): Feeds {
  const slots = rows.map(({ slot }) => slot);
  const { chunkCount, chunkRanks } = bound ?? NO_DELTAS;
  const { placeCount, places, select, origins } = bound
    ? placeTokens(slots, span, bound)
    : { placeCount: 1, places: new BigInt64Array(1), select: new Uint8Array(1), origins: new BigInt64Array(slots.length * span) };
  return {
    [DELTA_INPUTS.active]: new Tensor("bool", Uint8Array.of(bound ? 1 : 0), []),
    [DELTA_INPUTS.places]: integers(places, [chunkCount, placeCount]),
    [DELTA_INPUTS.select]: new Tensor("bool", select, [chunkCount, placeCount, chunkRanks]),
    [DELTA_INPUTS.origins]: integers(origins, [origins.length]),
  };
}

/** The same for an even step. */
export function evenDeltaFeeds({ chunkCount }: BoundDeltas): Feeds {
  return { [DELTA_INPUTS.chunkCount]: integers(BigInt64Array.of(BigInt(chunkCount)), [1]) };
}

/** What is bound when no row has a delta: something small, since the graph doesn't look at it. */
const NO_DELTAS = { firstRank: 0, chunkRanks: 1, chunkCount: 1 } as const;

export function tableFeeds(
  tables: readonly SiteTables[],
  bound: Pick<BoundDeltas, "firstRank" | "chunkRanks" | "chunkCount"> = NO_DELTAS,
): Feeds {
  const { firstRank, chunkRanks, chunkCount } = bound;
  const feeds: Feeds = {};
  for (const { site, a, b } of tables) {
    const names = deltaTableNames(site.site);
    for (const [name, table, size] of [
      [names.a, a, site.inputSize],
      [names.b, b, site.outputSize],
    ] as const) {
      const part = table.subarray(firstRank * size, (firstRank + chunkCount * chunkRanks) * size);
      feeds[name] = new Tensor("float32", part, [chunkCount, chunkRanks, size]);
    }
  }
  return feeds;
}

function integers(values: BigInt64Array, shape: readonly number[]): Tensor {
  return new Tensor("int64", values, shape);
}
