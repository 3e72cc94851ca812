import { assert } from "#kernel";
import type { Prefix } from "../contract.ts";

/** A block whose content is to lie somewhere else. */
export interface BlockMove {
  readonly from: number;
  readonly to: number;
}

/** Which prefixes have which blocks of the kept part of the cache: one that several have in common is there once. */
export class KeptBlocks {
  readonly #prefixes = new Map<Prefix, readonly number[]>();
  #prefixCount = 0;
  /** By block, how many prefixes have it; a block that none has is free. */
  readonly #holders: number[] = [];

  /** Free ones included. */
  get blockCount(): number {
    return this.#holders.length;
  }

  get freeCount(): number {
    return this.#holders.filter((holders) => holders === 0).length;
  }

  grow(more: number): void {
    for (let count = 0; count < more; count++) this.#holders.push(0);
  }

  /** The first `count` blocks of a prefix, in order of position. */
  blocksOf(prefix: Prefix, count: number): readonly number[] {
    const blocks = this.#prefixes.get(prefix);
    assert(blocks && count <= blocks.length, `prefix ${prefix} is kept, and as long as that`);
    return blocks.slice(0, count);
  }

  /** A prefix of these blocks, and of `added` ones that are free. */
  keep(common: readonly number[], added: number): { readonly prefix: Prefix; readonly added: readonly number[] } {
    const free = [...this.#holders.keys()].filter((block) => this.#holders[block] === 0).slice(0, added);
    assert(free.length === added, "who keeps has made room");
    const blocks = [...common, ...free];
    for (const block of blocks) this.#holders[block]!++;
    const prefix: Prefix = this.#prefixCount++;
    this.#prefixes.set(prefix, blocks);
    return { prefix, added: free };
  }

  forget(prefix: Prefix): void {
    const blocks = this.#prefixes.get(prefix);
    assert(blocks, `prefix ${prefix} is kept`);
    for (const block of blocks) this.#holders[block]!--;
    this.#prefixes.delete(prefix);
  }

  /** Gives up all that is free, at the end, after the last blocks have moved into what is free before them. */
  shrink(): readonly BlockMove[] {
    const held = this.blockCount - this.freeCount;
    const holes = [...this.#holders.keys()].filter((block) => block < held && this.#holders[block] === 0);
    const late = [...this.#holders.keys()].filter((block) => block >= held && this.#holders[block]! > 0);
    const moves = holes.map((to, index) => ({ from: late[index]!, to }));
    const places = new Map(moves.map(({ from, to }) => [from, to]));
    for (const { from, to } of moves) this.#holders[to] = this.#holders[from]!;
    for (const [prefix, blocks] of this.#prefixes) {
      this.#prefixes.set(
        prefix,
        blocks.map((block) => places.get(block) ?? block),
      );
    }
    this.#holders.length = held;
    return moves;
  }
}
