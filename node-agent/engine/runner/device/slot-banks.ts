import { assert, type Tokens } from "#kernel";
import type { Beginning, Prefix } from "../contract.ts";
import { KeptBlocks } from "./kept-blocks.ts";

/**
 * Capacities are multiples of it, and the smallest one is: below, rounding up costs less than another run for another bank. What is kept
 * beyond its row is kept in blocks of so many tokens.
 */
export const CAPACITY_UNIT: Tokens = 64;

/** Where a row's keys and values lie: a slot of the bank whose slots have this capacity. */
export interface SlotPlace {
  readonly capacity: Tokens;
  readonly slot: number;
}

/** How large each part of the cache is. */
export interface CacheLayout {
  /** How many slots the bank of each capacity has. */
  readonly banks: ReadonlyMap<Tokens, number>;
  readonly keptBlocks: number;
}

/** Blocks of {@link CAPACITY_UNIT} tokens: of the bank of this capacity, counted through its slots, or of the kept part. */
export interface CacheBlocks {
  readonly part: Tokens | "kept";
  readonly blocks: readonly number[];
}

/** What the device is to copy before its next step, block by block. */
export interface CacheCopy {
  /** When it was asked for: later, slots may have been given up. */
  readonly layout: CacheLayout;
  readonly from: CacheBlocks;
  readonly to: CacheBlocks;
}

interface BankedRow {
  readonly place: SlotPlace;
  readonly reservedTokens: Tokens;
  length: Tokens;
}

/** One class of capacity: its slots, each a row's or free. */
type Bank = (BankedRow | undefined)[];

/**
 * Who has which slot of the cache on the device. Banks hold slots of equal capacity, a power of two of tokens or what the longest row
 * may take; a bank grows by doubling and gives up slots at its end, so that no row ever changes its slot. Kept prefixes lie beside the
 * banks, in blocks of their own: no step looks at them.
 */
export class SlotBanks {
  readonly #tokensMax: Tokens;
  readonly #longest: Tokens;
  readonly #banks = new Map<Tokens, Bank>();
  readonly #rows = new Map<number, BankedRow>();
  readonly #kept = new KeptBlocks();
  #copies: CacheCopy[] = [];
  #reservedTokens: Tokens = 0;

  /**
   * `tokensMax` limits what open rows reserve, and what all slots hold, so that rounding up to capacities is paid for by fewer rows at a
   * time; `contextTokensMax` is the most that one row may reserve.
   */
  constructor(tokensMax: Tokens, contextTokensMax: Tokens) {
    this.#tokensMax = tokensMax;
    this.#longest = roundUp(Math.min(tokensMax, contextTokensMax));
  }

  /** The device follows before a step. */
  get layout(): CacheLayout {
    return { banks: this.sizes, keptBlocks: this.#kept.blockCount };
  }

  get sizes(): ReadonlyMap<Tokens, number> {
    return new Map([...this.#banks].map(([capacity, bank]) => [capacity, bank.length]));
  }

  /** Of all prefixes; what several have in common counts once. */
  get keptTokens(): Tokens {
    return (this.#kept.blockCount - this.#kept.freeCount) * CAPACITY_UNIT;
  }

  /** What the device has to copy, in this order, each in its layout. Told once. */
  takeCopies(): readonly CacheCopy[] {
    const copies = this.#copies;
    this.#copies = [];
    return copies;
  }

  /** False when there is no room; then no row has changed. A row gets a copy of its beginning. */
  open(row: number, tokensMax: Tokens, from?: Beginning): boolean {
    assert(!from || (from.tokens < tokensMax && from.tokens % CAPACITY_UNIT === 0), "whole blocks, and room behind them");
    if (this.#reservedTokens + tokensMax > this.#tokensMax) return false;
    const capacity = this.#capacityFor(tokensMax);
    const bank = this.#banks.get(capacity) ?? [];
    let slot = bank.indexOf(undefined);
    if (slot < 0) {
      slot = bank.length;
      if (!this.#grow(capacity, bank)) return false;
    }
    const banked = { place: { capacity, slot }, reservedTokens: tokensMax, length: from?.tokens ?? 0 };
    bank[slot] = banked;
    this.#rows.set(row, banked);
    this.#reservedTokens += tokensMax;
    if (from) {
      const blocks = this.#kept.blocksOf(from.prefix, from.tokens / CAPACITY_UNIT);
      this.#copy({ part: "kept", blocks }, blocksOfSlot(banked.place, 0, blocks.length));
    }
    return true;
  }

  /** Copies what a row begins with, but for what is `shared` already. Undefined when there is no room; then nothing has changed. */
  keep(row: number, tokens: Tokens, shared?: Beginning): Prefix | undefined {
    const { place, length } = this.#row(row);
    assert(tokens > 0 && tokens % CAPACITY_UNIT === 0 && tokens <= length, "whole blocks are kept, of what was computed");
    if (tokens === place.capacity) return undefined; // Of a full slot the last place is given up, see writePlaces.
    const [count, commonCount] = [tokens / CAPACITY_UNIT, (shared?.tokens ?? 0) / CAPACITY_UNIT];
    if (!this.#makeKeptRoom(count - commonCount)) return undefined;
    const common = shared ? this.#kept.blocksOf(shared.prefix, commonCount) : [];
    const { prefix, added } = this.#kept.keep(common, count - commonCount);
    this.#copy(blocksOfSlot(place, commonCount, count), { part: "kept", blocks: added });
    return prefix;
  }

  /** Also within one bank. */
  copy(from: number, to: number, tokens: Tokens): void {
    const [source, target] = [this.#row(from), this.#row(to)];
    // Of a full slot the last place is given up, see writePlaces.
    assert(tokens % CAPACITY_UNIT === 0 && tokens <= source.length && tokens < source.place.capacity, "whole blocks, of what was computed");
    assert(tokens > target.length && tokens < target.reservedTokens, "a row gets more than it has, and has room behind it");
    const [start, end] = [Math.floor(target.length / CAPACITY_UNIT), tokens / CAPACITY_UNIT];
    this.#copy(blocksOfSlot(source.place, start, end), blocksOfSlot(target.place, start, end));
    target.length = tokens;
  }

  forget(prefix: Prefix): void {
    this.#kept.forget(prefix);
  }

  close(row: number): void {
    const { place, reservedTokens } = this.#row(row);
    this.#banks.get(place.capacity)![place.slot] = undefined;
    this.#reservedTokens -= reservedTokens;
    this.#rows.delete(row);
  }

  place(row: number): SlotPlace {
    return this.#row(row).place;
  }

  length(row: number): Tokens {
    return this.#row(row).length;
  }

  /** How many tokens the row may still take. */
  room(row: number): Tokens {
    const { reservedTokens, length } = this.#row(row);
    return reservedTokens - length;
  }

  append(row: number, count: Tokens): void {
    const banked = this.#row(row);
    assert(banked.length + count <= banked.reservedTokens, "a row stays within what it reserved");
    banked.length += count;
  }

  /**
   * Where a step that has a token for each of the first `count` slots of a bank writes: behind what their rows have, so that what a
   * row that does not step gets is written over by its next token. A full row has none: its last place is given up.
   */
  writePlaces(capacity: Tokens, count: number): readonly Tokens[] {
    const bank = this.#banks.get(capacity) ?? [];
    return Array.from({ length: count }, (_, slot) => Math.min(bank[slot]?.length ?? 0, capacity - 1));
  }

  /** Twice the slots, or as many more as there is room for once other banks have given up what they can. */
  #grow(capacity: Tokens, bank: Bank): boolean {
    const wanted = Math.max(1, bank.length);
    if (this.#freeTokens() < wanted * capacity) this.#trim(capacity);
    const more = Math.min(wanted, Math.floor(this.#freeTokens() / capacity));
    if (more === 0) return false;
    bank.push(...new Array<undefined>(more).fill(undefined));
    this.#banks.set(capacity, bank);
    return true;
  }

  /** Rows come first: free slots serve what is kept only where there is no other room. */
  #makeKeptRoom(count: number): boolean {
    const missing = () => count - this.#kept.freeCount;
    if (missing() * CAPACITY_UNIT > this.#freeTokens()) this.#trim(undefined);
    const room = Math.floor(this.#freeTokens() / CAPACITY_UNIT);
    if (missing() > room) return false;
    if (missing() > 0) this.#kept.grow(Math.min(room, Math.max(missing(), this.#kept.blockCount)));
    return true;
  }

  #copy(from: CacheBlocks, to: CacheBlocks): void {
    if (from.blocks.length > 0) this.#copies.push({ layout: this.layout, from, to });
  }

  /** Gives up the free slots at the ends of all banks but one, and all free blocks. */
  #trim(except: Tokens | undefined): void {
    const before = this.layout;
    const moves = this.#kept.shrink();
    const [from, to] = [moves.map((move) => move.from), moves.map((move) => move.to)];
    if (moves.length > 0) this.#copies.push({ layout: before, from: { part: "kept", blocks: from }, to: { part: "kept", blocks: to } });
    for (const [capacity, bank] of this.#banks) {
      if (capacity === except) continue;
      bank.length = bank.findLastIndex((row) => row !== undefined) + 1;
      if (bank.length === 0) this.#banks.delete(capacity);
    }
  }

  #freeTokens(): Tokens {
    let taken = this.#kept.blockCount * CAPACITY_UNIT;
    for (const [capacity, bank] of this.#banks) taken += capacity * bank.length;
    // One row of the longest context always finds room, where it is alone.
    return Math.max(this.#tokensMax, this.#longest) - taken;
  }

  /** The next power of two, as long as that is not more than any row may take. */
  #capacityFor(tokensMax: Tokens): Tokens {
    return Math.min(this.#longest, Math.max(CAPACITY_UNIT, 2 ** Math.ceil(Math.log2(tokensMax))));
  }

  #row(row: number): BankedRow {
    const banked = this.#rows.get(row);
    assert(banked, `row ${row} is open`);
    return banked;
  }
}

function roundUp(tokens: Tokens): Tokens {
  return Math.ceil(tokens / CAPACITY_UNIT) * CAPACITY_UNIT;
}

/** From block `start` of a slot to before `end`. */
function blocksOfSlot({ capacity, slot }: SlotPlace, start: number, end: number): CacheBlocks {
  const first = (slot * capacity) / CAPACITY_UNIT;
  return { part: capacity, blocks: Array.from({ length: end - start }, (_, index) => first + start + index) };
}
