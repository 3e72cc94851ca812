import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Prefix } from "../contract.ts";
import { CAPACITY_UNIT, type CacheBlocks, SlotBanks } from "./slot-banks.ts";

const TOKENS_MAX = 2048;
const CONTEXT_MAX = 512;

interface Text {
  readonly name: string;
  length: number;
}

/** The books and a naive device, whose blocks hold the name of the text and the place in it; what it is told to copy, it copies before steps. */
class Model {
  readonly banks = new SlotBanks(TOKENS_MAX, CONTEXT_MAX);
  readonly rows = new Map<number, Text & { readonly tokensMax: number }>();
  readonly prefixes = new Map<Prefix, Text>();
  #device = new Map<CacheBlocks["part"], (string | undefined)[]>();
  #rowCount = 0;
  #nameCount = 0;

  open(tokensMax: number, chosen: number): boolean {
    const [prefix, text] = pick(this.prefixes, chosen) ?? [];
    const tokens = text ? Math.min(text.length, Math.floor((tokensMax - 1) / CAPACITY_UNIT) * CAPACITY_UNIT) : 0;
    const from = prefix !== undefined && tokens > 0 ? { prefix, tokens } : undefined;
    const row = this.#rowCount++;
    if (!this.banks.open(row, tokensMax, from)) return false;
    expect(this.banks.length(row)).toBe(tokens);
    const name = text && from ? text.name : `text ${this.#nameCount++}`;
    this.rows.set(row, { name, length: tokens, tokensMax });
    return true;
  }

  /** A step of one row by whole blocks: what was asked to be copied is copied first. */
  step(chosen: number, blocks: number): void {
    this.catchUp();
    const [row, text] = pick(this.rows, chosen) ?? [];
    if (row === undefined || !text) return;
    const count = Math.min(blocks * CAPACITY_UNIT, Math.floor(text.tokensMax / CAPACITY_UNIT) * CAPACITY_UNIT - text.length);
    if (count <= 0) return;
    this.banks.append(row, count);
    for (let done = 0; done < count; done += CAPACITY_UNIT) {
      const { part, at } = this.#blockOf(row, text.length / CAPACITY_UNIT);
      this.#device.get(part)![at] = `${text.name} ${text.length / CAPACITY_UNIT}`;
      text.length += CAPACITY_UNIT;
    }
  }

  keep(chosen: number, share: boolean): boolean {
    const [row, text] = pick(this.rows, chosen) ?? [];
    if (row === undefined || !text || text.length === 0) return true;
    const other = [...this.prefixes].find(([, { name, length }]) => name === text.name && length < text.length);
    const shared = share && other ? { prefix: other[0], tokens: other[1].length } : undefined;
    const prefix = this.banks.keep(row, text.length, shared);
    if (prefix === undefined) return false;
    expect(this.prefixes.has(prefix)).toBe(false);
    this.prefixes.set(prefix, { name: text.name, length: text.length });
    return true;
  }

  /** A new row gets what another one has, as texts do that begin alike; in whole blocks, and with room behind them. */
  copy(chosen: number, tokensMax: number): void {
    const [from, text] = pick(this.rows, chosen) ?? [];
    if (from === undefined || !text) return;
    const tokens = Math.min(text.length, Math.ceil(tokensMax / CAPACITY_UNIT - 1) * CAPACITY_UNIT);
    const row = this.#rowCount++;
    if (tokens <= 0 || tokens === this.banks.place(from).capacity || !this.banks.open(row, tokensMax)) return;
    this.banks.copy(from, row, tokens);
    this.rows.set(row, { name: text.name, length: tokens, tokensMax });
  }

  close(chosen: number): void {
    const [row] = pick(this.rows, chosen) ?? [];
    if (row === undefined) return;
    this.banks.close(row);
    this.rows.delete(row);
  }

  forget(chosen: number): void {
    const [prefix] = pick(this.prefixes, chosen) ?? [];
    if (prefix === undefined) return;
    this.banks.forget(prefix);
    this.prefixes.delete(prefix);
  }

  /** Copies as told, and looks at what every row has. */
  catchUp(): void {
    for (const { layout, from, to } of this.banks.takeCopies()) {
      this.#follow(layout);
      expect(from.blocks).toHaveLength(to.blocks.length);
      const taken = from.blocks.map((block) => this.#device.get(from.part)![block]);
      for (const [index, block] of to.blocks.entries()) {
        expect(block).toBeLessThan(this.#device.get(to.part)!.length);
        this.#device.get(to.part)![block] = taken[index];
      }
    }
    this.#follow(this.banks.layout);
    for (const [row, { name, length }] of this.rows) {
      for (let block = 0; block < length / CAPACITY_UNIT; block++) {
        const { part, at } = this.#blockOf(row, block);
        expect(this.#device.get(part)![at]).toBe(`${name} ${block}`);
      }
    }
    const all = [...this.#device.values()].reduce((sum, blocks) => sum + blocks.length * CAPACITY_UNIT, 0);
    expect(all).toBeLessThanOrEqual(TOKENS_MAX);
  }

  #blockOf(row: number, block: number) {
    const { capacity, slot } = this.banks.place(row);
    return { part: capacity, at: (slot * capacity) / CAPACITY_UNIT + block };
  }

  #follow({ banks, keptBlocks }: SlotBanks["layout"]): void {
    const sizes = [["kept", keptBlocks] as const, ...[...banks].map(([part, slots]) => [part, (slots * part) / CAPACITY_UNIT] as const)];
    this.#device = new Map(
      sizes.map(([part, size]) => [part, Array.from({ length: size }, (_, block) => this.#device.get(part)?.[block])]),
    );
  }
}

function pick<K, V>(map: ReadonlyMap<K, V>, chosen: number): readonly [K, V] | undefined {
  return [...map][chosen % Math.max(1, map.size)];
}

const small = fc.nat({ max: 9 });
const OPERATION = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("open"), fc.integer({ min: 1, max: CONTEXT_MAX }), small) },
  { weight: 5, arbitrary: fc.tuple(fc.constant("step"), small, fc.integer({ min: 1, max: 4 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("keep"), small, fc.nat({ max: 1 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("copy"), small, fc.integer({ min: 1, max: CONTEXT_MAX })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("close"), small, small) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("forget"), small, small) },
);

describe("prefixes kept beside the banks", () => {
  test("rows begin with what was kept or another row has, whatever came, went or moved between two steps, and nothing exceeds what there is", () => {
    fc.assert(
      fc.property(fc.array(OPERATION, { minLength: 30, maxLength: 80, size: "max" }), (operations) => {
        const model = new Model();
        for (const [kind, first, second] of operations) {
          if (kind === "open") model.open(first, second);
          else if (kind === "step") model.step(first, second);
          else if (kind === "keep") model.keep(first, second === 1);
          else if (kind === "copy") model.copy(first, second);
          else if (kind === "close") model.close(first);
          else model.forget(first);
        }
        model.catchUp();
        while (model.rows.size > 0) model.close(0);
        // Every prefix can be begun with, one after the other; with all forgotten, the whole room is the rows' again.
        while (model.prefixes.size > 0) {
          if (model.open(CONTEXT_MAX, 0)) {
            model.catchUp();
            model.close(0);
          }
          model.forget(0);
        }
        expect(model.banks.keptTokens).toBe(0);
        for (let row = 0; row < TOKENS_MAX / CONTEXT_MAX; row++) expect(model.open(CONTEXT_MAX, 0)).toBe(true);
        model.catchUp();
      }),
      { numRuns: 100 },
    );
  });

  test("what two texts have in common is kept once", () => {
    const model = new Model();
    model.open(500, 0);
    model.step(0, 3);
    model.keep(0, false);
    expect(model.banks.keptTokens).toBe(3 * CAPACITY_UNIT);
    model.step(0, 2);
    model.keep(0, true);
    expect(model.banks.keptTokens).toBe(5 * CAPACITY_UNIT);
    model.forget(0);
    expect(model.banks.keptTokens).toBe(5 * CAPACITY_UNIT);
    model.forget(0);
    expect(model.banks.keptTokens).toBe(0);
  });

  test("keeping takes no row's room: it is refused, and what is kept gives way", () => {
    const model = new Model();
    for (let row = 0; row < 4; row++) model.open(CONTEXT_MAX, 0);
    model.step(0, 2);
    expect(model.keep(0, false)).toBe(false);
    model.close(3);
    expect(model.keep(0, false)).toBe(true);
    expect(model.open(CONTEXT_MAX, 0)).toBe(false);
    model.forget(0);
    expect(model.open(CONTEXT_MAX, 0)).toBe(true);
  });

  test("of a full slot nothing is kept that its last place is part of", () => {
    const model = new Model();
    model.open(128, 0);
    model.step(0, 2);
    expect(model.keep(0, false)).toBe(false);
    expect(model.banks.keep(0, 64)).toBeDefined();
  });
});
