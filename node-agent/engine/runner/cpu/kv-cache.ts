import { assert, type Bytes, type Tokens } from "#kernel";
import { type BaseInfo, BLOCK_TOKENS } from "#model";
import { BlockMemory, type BlockWindow } from "./block-memory.ts";

/** What one sequence has in the cache. */
interface CachedRow {
  readonly reservedTokens: Tokens;
  /** In order of position; enough for `length`. */
  readonly blocks: number[];
  length: Tokens;
}

/** What a step binds of the cache, and where in it each row's blocks lie, counted from the first bound one. */
export interface BoundBlocks {
  readonly window: BlockWindow;
  readonly rows: readonly (readonly number[])[];
}

/** Moving a block copies it in all layers; this many keep a step's pause near a millisecond and still outrun the holes that closing rows leave. */
const MOVES_PER_STEP_MAX = 2;
/** How many times the blocks it needs a step may bind before moving or staging them pays. */
const SPREAD_MAX = 1.25;

/**
 * Keys and values of all open rows, outside of the runtime. The runtime binds consecutive blocks without a copy, so the
 * blocks of rows that step together belong together at the front. Closing rows leave holes; a few blocks move per step
 * to fill them, so that no step ever pays for all.
 */
export class KvCache {
  readonly #base: BaseInfo;
  readonly #memory: BlockMemory;
  readonly #tokensMax: Tokens;
  readonly #rows = new Map<number, CachedRow>();
  /** Who has each block; undefined for a free one. The block after the last is for swapping. */
  readonly #owners: (CachedRow | undefined)[];
  /** Blocks that have been written since the start. */
  readonly #written = new Set<number>();
  #reservedTokens: Tokens = 0;
  #staging: BlockMemory | undefined;

  constructor(base: BaseInfo, rowsMax: number, tokensMax: Tokens) {
    // Every row may leave a part of its last block empty; with a block more per row, tokensMax tokens always fit.
    const blocksMax = Math.floor(tokensMax / BLOCK_TOKENS) + rowsMax;
    this.#base = base;
    this.#tokensMax = tokensMax;
    this.#memory = new BlockMemory(base, blocksMax + 1);
    this.#owners = new Array<CachedRow | undefined>(blocksMax).fill(undefined);
  }

  get memoryBytes(): Bytes {
    return this.#memory.memoryBytes + (this.#staging?.memoryBytes ?? 0);
  }

  /** False when there is no room; then nothing has changed. */
  open(row: number, tokensMax: Tokens): boolean {
    if (this.#reservedTokens + tokensMax > this.#tokensMax) return false;
    this.#reservedTokens += tokensMax;
    this.#rows.set(row, { reservedTokens: tokensMax, blocks: [], length: 0 });
    return true;
  }

  close(row: number): void {
    const cached = this.#row(row);
    for (const block of cached.blocks) this.#owners[block] = undefined;
    this.#reservedTokens -= cached.reservedTokens;
    this.#rows.delete(row);
  }

  length(row: number): Tokens {
    return this.#row(row).length;
  }

  /** How many tokens the row may still take. */
  room(row: number): Tokens {
    const { reservedTokens, length } = this.#row(row);
    return reservedTokens - length;
  }

  /** For a step over rows that all have a past: the smallest window over their blocks, after moving a few closer. */
  bindTogether(rows: readonly number[]): BoundBlocks {
    const cached = rows.map((row) => this.#row(row));
    const needed = new Set(cached.flatMap(({ blocks }) => blocks));
    for (let moves = 0; moves < MOVES_PER_STEP_MAX && spread(needed) > SPREAD_MAX; moves++) this.#moveForward(needed);
    return this.#bindWindow(cached, needed);
  }

  /** For a step over one row: its blocks, copied together where they lie too far apart. Valid until the next call. */
  bindAlone(row: number): BoundBlocks {
    const cached = this.#row(row);
    const needed = new Set(cached.blocks);
    if (spread(needed) <= SPREAD_MAX) return this.#bindWindow([cached], needed);
    this.#staging ??= new BlockMemory(this.#base, Math.ceil(this.#base.contextTokensMax / BLOCK_TOKENS));
    for (const [index, block] of cached.blocks.entries()) this.#staging.copy(block, index, this.#memory);
    return { window: this.#staging.window(0, cached.blocks.length), rows: [cached.blocks.map((_, index) => index)] };
  }

  /** For a step over `rowCount` rows without a past. */
  bindNothing(rowCount: number): BoundBlocks {
    return { window: this.#memory.window(0, 0), rows: Array.from({ length: rowCount }, () => []) };
  }

  /** Appends what a step computed: `count` of the `span` positions of its row `index`. */
  append(row: number, data: Float32Array, index: number, span: number, count: number): void {
    const cached = this.#row(row);
    assert(cached.length + count <= cached.reservedTokens, "a row stays within what it reserved");
    for (let done = 0; done < count; ) {
      const offset = cached.length % BLOCK_TOKENS;
      if (offset === 0) this.#takeBlock(cached);
      const part = Math.min(count - done, BLOCK_TOKENS - offset);
      this.#memory.write(cached.blocks.at(-1)!, offset, { data, row: index, span }, done, part);
      cached.length += part;
      done += part;
    }
  }

  #takeBlock(row: CachedRow): void {
    const block = this.#owners.indexOf(undefined);
    assert(block >= 0, "what was reserved is there");
    if (this.#written.has(block)) this.#memory.clear(block);
    this.#written.add(block);
    this.#owners[block] = row;
    row.blocks.push(block);
  }

  #bindWindow(rows: readonly CachedRow[], needed: ReadonlySet<number>): BoundBlocks {
    const first = Math.min(...needed);
    const window = this.#memory.window(first, Math.max(...needed) - first + 1);
    return { window, rows: rows.map(({ blocks }) => blocks.map((block) => block - first)) };
  }

  /** Moves the last needed block to the first place that no needed block has, in exchange for what is there. */
  #moveForward(needed: Set<number>): void {
    const from = Math.max(...needed);
    let to = 0;
    while (needed.has(to)) to++;
    if (to >= from) return;
    const spare = this.#owners.length;
    const displaced = this.#owners[to];
    if (displaced) this.#memory.copy(to, spare);
    this.#memory.copy(from, to);
    if (displaced) this.#memory.copy(spare, from);
    const moved = this.#owners[from]!;
    moved.blocks[moved.blocks.indexOf(from)] = to;
    if (displaced) displaced.blocks[displaced.blocks.indexOf(to)] = from;
    this.#owners[to] = moved;
    this.#owners[from] = displaced;
    this.#written.add(to);
    needed.delete(from);
    needed.add(to);
  }

  #row(row: number): CachedRow {
    const cached = this.#rows.get(row);
    assert(cached, `row ${row} is open`);
    return cached;
  }
}

/** The window over these blocks, as a multiple of their number. */
function spread(blocks: ReadonlySet<number>): number {
  return (Math.max(...blocks) - Math.min(...blocks) + 1) / blocks.size;
}
