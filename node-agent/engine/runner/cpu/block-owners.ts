import { assert } from "#kernel";

/** A row or a kept prefix: its blocks in order of position. */
export interface BlockOwner {
  readonly blocks: number[];
}

/**
 * Who has each block of the cache. At most one row does, since a step reads every block for one row; any number of prefixes
 * may, since what a full block holds never changes. A block that nobody has is free.
 */
export class BlockOwners {
  /** By block. */
  readonly #rows: (BlockOwner | undefined)[];
  readonly #prefixes: readonly Set<BlockOwner>[];
  #kept = 0;
  #idle = 0;

  constructor(blockCount: number) {
    this.#rows = new Array<BlockOwner | undefined>(blockCount).fill(undefined);
    this.#prefixes = Array.from({ length: blockCount }, () => new Set<BlockOwner>());
  }

  get blockCount(): number {
    return this.#rows.length;
  }

  /** Blocks that some prefix has. */
  get kept(): number {
    return this.#kept;
  }

  /** Those among them that no row has. */
  get idle(): number {
    return this.#idle;
  }

  isFree(block: number): boolean {
    return !this.hasRow(block) && this.#prefixes[block]!.size === 0;
  }

  hasRow(block: number): boolean {
    return this.#rows[block] !== undefined;
  }

  /** The first that is free. */
  firstFree(): number {
    const block = this.#rows.findIndex((_, block) => this.isFree(block));
    assert(block >= 0, "what was reserved is there");
    return block;
  }

  /** Appends a block that no row has. */
  addToRow(row: BlockOwner, block: number): void {
    assert(!this.hasRow(block), `block ${block} has no row yet`);
    if (this.#prefixes[block]!.size > 0) this.#idle--;
    this.#rows[block] = row;
    row.blocks.push(block);
  }

  closeRow({ blocks }: BlockOwner): void {
    for (const block of blocks) {
      this.#rows[block] = undefined;
      if (this.#prefixes[block]!.size > 0) this.#idle++;
    }
  }

  /** Appends a full block that somebody else has already. */
  addToPrefix(prefix: BlockOwner, block: number): void {
    assert(!this.isFree(block), `block ${block} is in use`);
    if (this.#prefixes[block]!.size === 0) this.#kept++;
    this.#prefixes[block]!.add(prefix);
    prefix.blocks.push(block);
  }

  forgetPrefix(prefix: BlockOwner): void {
    for (const block of prefix.blocks) {
      this.#prefixes[block]!.delete(prefix);
      if (this.#prefixes[block]!.size > 0) continue;
      this.#kept--;
      if (!this.hasRow(block)) this.#idle--;
    }
  }

  /** What was in one block is in the other now, and the other way round: tells all who have either. */
  exchange(one: number, other: number): void {
    for (const { blocks } of new Set([...this.#ownersOf(one), ...this.#ownersOf(other)])) {
      for (const [index, block] of blocks.entries()) {
        if (block === one) blocks[index] = other;
        else if (block === other) blocks[index] = one;
      }
    }
    [this.#rows[one], this.#rows[other]] = [this.#rows[other], this.#rows[one]];
    const [prefixes, others] = [[...this.#prefixes[one]!], [...this.#prefixes[other]!]];
    replace(this.#prefixes[one]!, others);
    replace(this.#prefixes[other]!, prefixes);
  }

  #ownersOf(block: number): BlockOwner[] {
    const row = this.#rows[block];
    return [...(row ? [row] : []), ...this.#prefixes[block]!];
  }
}

function replace<T>(set: Set<T>, values: readonly T[]): void {
  set.clear();
  for (const value of values) set.add(value);
}
