import { assert, type Tokens } from "#kernel";

/** Capacities are multiples of it, and the smallest one is: below, rounding up costs less than another run for another bank. */
const CAPACITY_UNIT: Tokens = 64;

/** Where a row's keys and values lie: a slot of the bank whose slots have this capacity. */
export interface SlotPlace {
  readonly capacity: Tokens;
  readonly slot: number;
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
 * may take; a bank grows by doubling and gives up slots at its end, so that no row ever changes its slot.
 */
export class SlotBanks {
  readonly #tokensMax: Tokens;
  readonly #longest: Tokens;
  readonly #banks = new Map<Tokens, Bank>();
  readonly #rows = new Map<number, BankedRow>();
  #reservedTokens: Tokens = 0;

  /**
   * `tokensMax` limits what open rows reserve, and what all slots hold, so that rounding up to capacities is paid for by fewer rows at a
   * time; `contextTokensMax` is the most that one row may reserve.
   */
  constructor(tokensMax: Tokens, contextTokensMax: Tokens) {
    this.#tokensMax = tokensMax;
    this.#longest = roundUp(Math.min(tokensMax, contextTokensMax));
  }

  /** How many slots the bank of each capacity has; the device follows before a step. */
  get sizes(): ReadonlyMap<Tokens, number> {
    return new Map([...this.#banks].map(([capacity, bank]) => [capacity, bank.length]));
  }

  /** False when there is no room; then no row has changed. */
  open(row: number, tokensMax: Tokens): boolean {
    if (this.#reservedTokens + tokensMax > this.#tokensMax) return false;
    const capacity = this.#capacityFor(tokensMax);
    const bank = this.#banks.get(capacity) ?? [];
    let slot = bank.indexOf(undefined);
    if (slot < 0) {
      slot = bank.length;
      if (!this.#grow(capacity, bank)) return false;
    }
    const banked = { place: { capacity, slot }, reservedTokens: tokensMax, length: 0 };
    bank[slot] = banked;
    this.#rows.set(row, banked);
    this.#reservedTokens += tokensMax;
    return true;
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

  /** Gives up the free slots at the ends of all banks but one. */
  #trim(except: Tokens): void {
    for (const [capacity, bank] of this.#banks) {
      if (capacity === except) continue;
      bank.length = bank.findLastIndex((row) => row !== undefined) + 1;
      if (bank.length === 0) this.#banks.delete(capacity);
    }
  }

  #freeTokens(): Tokens {
    let taken = 0;
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
