import { assert, type Bytes, type Tokens } from "#kernel";
import { type BaseInfo, BLOCK_TOKENS } from "#model";
import type { Beginning, Prefix, PrefixKeeper } from "../contract.ts";
import { BlockMemory, type BlockWindow, type NewKeyValues } from "./block-memory.ts";
import { type BlockOwner, BlockOwners } from "./block-owners.ts";

/** What one sequence has in the cache; its blocks are enough for `length`. */
interface CachedRow extends BlockOwner {
  readonly reservedTokens: Tokens;
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
 * Keys and values of all open rows and kept prefixes, outside of the runtime. The runtime binds consecutive blocks without a
 * copy, so the blocks of rows that step together belong together at the front. Closing rows leave holes; a few blocks move
 * per step to fill them, so that no step ever pays for all.
 *
 * Blocks that only prefixes have (idle ones) and the most that open rows may come to have never exceed all blocks: a row
 * that was opened always finds the next one. Keeping adds none, because it takes blocks of a row that has reserved them.
 */
export class KvCache implements PrefixKeeper {
  readonly unitTokens: Tokens = BLOCK_TOKENS;
  readonly #base: BaseInfo;
  readonly #memory: BlockMemory;
  readonly #tokensMax: Tokens;
  readonly #rows = new Map<number, CachedRow>();
  readonly #prefixes = new Map<Prefix, BlockOwner>();
  #prefixCount = 0;
  /** Of all blocks but the one after the last, which is for swapping. */
  readonly #owners: BlockOwners;
  /** Blocks that have been written since the start. */
  readonly #written = new Set<number>();
  #reservedTokens: Tokens = 0;
  /** The most that all open rows may come to have. */
  #reservedBlocks = 0;
  #staging: BlockMemory | undefined;

  constructor(base: BaseInfo, rowsMax: number, tokensMax: Tokens) {
    // Every row may leave a part of its last block empty; with a block more per row, tokensMax tokens always fit.
    const blocksMax = Math.floor(tokensMax / BLOCK_TOKENS) + rowsMax;
    this.#base = base;
    this.#tokensMax = tokensMax;
    this.#memory = new BlockMemory(base, blocksMax + 1);
    this.#owners = new BlockOwners(blocksMax);
  }

  get memoryBytes(): Bytes {
    return this.#memory.memoryBytes;
  }

  /** Where a row's scattered blocks are laid together. */
  get stagingBytes(): Bytes {
    return this.#staging?.memoryBytes ?? 0;
  }

  get keptTokens(): Tokens {
    return this.#owners.kept * BLOCK_TOKENS;
  }

  get keptBytes(): Bytes {
    return this.#owners.kept * this.#memory.blockBytes;
  }

  /**
   * False when there is no room beside what is kept; then nothing has changed. A row takes over the blocks of its beginning
   * that no other row has, and gets copies of the others.
   */
  open(row: number, tokensMax: Tokens, from?: Beginning): boolean {
    if (this.#reservedTokens + tokensMax > this.#tokensMax) return false;
    const beginning = from ? this.#blocksOf(from) : [];
    const idleAfter = this.#owners.idle - beginning.filter((block) => !this.#owners.hasRow(block)).length;
    if (this.#reservedBlocks + blocksFor(tokensMax) + idleAfter > this.#owners.blockCount) return false;
    this.#reservedTokens += tokensMax;
    this.#reservedBlocks += blocksFor(tokensMax);
    const opened: CachedRow = { reservedTokens: tokensMax, blocks: [], length: from?.tokens ?? 0 };
    this.#rows.set(row, opened);
    for (const block of beginning) {
      if (this.#owners.hasRow(block)) this.#memory.copy(block, this.#takeBlock(opened));
      else this.#owners.addToRow(opened, block);
    }
    return true;
  }

  close(row: number): void {
    const cached = this.#row(row);
    this.#owners.closeRow(cached);
    this.#reservedTokens -= cached.reservedTokens;
    this.#reservedBlocks -= blocksFor(cached.reservedTokens);
    this.#rows.delete(row);
  }

  /** Never undefined: what is kept is in the cache already. */
  keep(row: number, tokens: Tokens, shared?: Beginning): Prefix {
    const { blocks, length } = this.#row(row);
    assert(tokens > 0 && tokens <= length && tokens % BLOCK_TOKENS === 0, "whole blocks are kept, of what was computed");
    const common = shared ? this.#blocksOf(shared) : [];
    const kept: BlockOwner = { blocks: [] };
    for (const block of [...common, ...blocks.slice(common.length, tokens / BLOCK_TOKENS)]) this.#owners.addToPrefix(kept, block);
    const prefix: Prefix = this.#prefixCount++;
    this.#prefixes.set(prefix, kept);
    return prefix;
  }

  forget(prefix: Prefix): void {
    this.#owners.forgetPrefix(this.#prefix(prefix));
    this.#prefixes.delete(prefix);
  }

  /** What the row has of a block that is not full is written over. */
  copy(from: number, to: number, tokens: Tokens): void {
    const [source, target] = [this.#row(from), this.#row(to)];
    assert(tokens % BLOCK_TOKENS === 0 && tokens <= source.length, "whole blocks are copied, of what was computed");
    assert(tokens > target.length && tokens <= target.reservedTokens, "a row gets more than it has, and what it reserved");
    for (let index = Math.floor(target.length / BLOCK_TOKENS); index < tokens / BLOCK_TOKENS; index++) {
      this.#memory.copy(source.blocks[index]!, target.blocks[index] ?? this.#takeBlock(target));
    }
    target.length = tokens;
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

  /** Appends what a step computed: `count` positions, from its position `from`. */
  append(row: number, added: NewKeyValues, from: Tokens, count: Tokens): void {
    const cached = this.#row(row);
    assert(cached.length + count <= cached.reservedTokens, "a row stays within what it reserved");
    for (let done = 0; done < count; ) {
      const offset = cached.length % BLOCK_TOKENS;
      if (offset === 0) this.#takeBlock(cached);
      const part = Math.min(count - done, BLOCK_TOKENS - offset);
      this.#memory.write(cached.blocks.at(-1)!, offset, added, from + done, part);
      cached.length += part;
      done += part;
    }
  }

  #takeBlock(row: CachedRow): number {
    const block = this.#owners.firstFree();
    if (this.#written.has(block)) this.#memory.clear(block);
    this.#written.add(block);
    this.#owners.addToRow(row, block);
    return block;
  }

  #blocksOf({ prefix, tokens }: Beginning): readonly number[] {
    return this.#prefix(prefix).blocks.slice(0, tokens / BLOCK_TOKENS);
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
    const spare = this.#owners.blockCount;
    const displaces = !this.#owners.isFree(to);
    if (displaces) this.#memory.copy(to, spare);
    this.#memory.copy(from, to);
    if (displaces) this.#memory.copy(spare, from);
    this.#owners.exchange(from, to);
    this.#written.add(to);
    needed.delete(from);
    needed.add(to);
  }

  #row(row: number): CachedRow {
    const cached = this.#rows.get(row);
    assert(cached, `row ${row} is open`);
    return cached;
  }

  #prefix(prefix: Prefix): BlockOwner {
    const kept = this.#prefixes.get(prefix);
    assert(kept, `prefix ${prefix} is kept`);
    return kept;
  }
}

function blocksFor(tokens: Tokens): number {
  return Math.ceil(tokens / BLOCK_TOKENS);
}

/** The window over these blocks, as a multiple of their number. */
function spread(blocks: ReadonlySet<number>): number {
  return (Math.max(...blocks) - Math.min(...blocks) + 1) / blocks.size;
}
