import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLOCK_TOKENS } from "#model";
import { TOY_BASE } from "../../testing/toy-runner.ts";
import { type BoundBlocks, KvCache } from "./kv-cache.ts";

/** One layer with one head of one value: each position holds a number that tells who wrote it, and when. */
const BASE = { ...TOY_BASE, layerCount: 1, kvHeadCount: 1, headSize: 1, contextTokensMax: 400 };
const ROWS_MAX = 4;
const TOKENS_MAX = 1000;

/** What the cache should hold, as lists. */
class Model {
  readonly cache = new KvCache(BASE, ROWS_MAX, TOKENS_MAX);
  readonly rows = new Map<number, { readonly reserved: number; readonly text: number[] }>();
  readonly prefixes = new Map<number, readonly number[]>();
  #values = 0;

  /** Opens a row, perhaps where the `choice`-th prefix ends or in the middle of it. */
  open(extra: number, choice: number, units: number): void {
    const row = [...Array(ROWS_MAX).keys()].find((each) => !this.rows.has(each));
    if (row === undefined) return;
    const prefix = [...this.prefixes.keys()][choice % (this.prefixes.size + 1)];
    const kept = prefix === undefined ? [] : this.prefixes.get(prefix)!;
    const tokens = BLOCK_TOKENS * ((units % (kept.length / BLOCK_TOKENS)) + 1);
    const text = prefix === undefined ? [] : kept.slice(0, tokens);
    const reserved = text.length + extra;
    const opened = this.cache.open(row, reserved, prefix === undefined ? undefined : { prefix, tokens });
    const sum = [...this.rows.values()].reduce((total, { reserved }) => total + reserved, reserved);
    if (sum > TOKENS_MAX) expect(opened).toBe(false);
    else if (this.prefixes.size === 0) expect(opened, "nothing but rows may refuse a row").toBe(true);
    if (opened) this.rows.set(row, { reserved, text: [...text] });
  }

  append(row: number, count: number): void {
    const { reserved, text } = this.rows.get(row)!;
    const added = Array.from({ length: Math.min(count, reserved - text.length) }, () => ++this.#values);
    // Keys, then values: both of one layer and head.
    const data = Float32Array.from([...added, ...added]);
    this.cache.append(row, { data, row: 0, span: added.length }, 0, added.length);
    text.push(...added);
  }

  keep(row: number, units: number): void {
    const { text } = this.rows.get(row)!;
    const blocks = Math.floor(text.length / BLOCK_TOKENS);
    if (blocks === 0) return;
    const kept = text.slice(0, BLOCK_TOKENS * ((units % blocks) + 1));
    // As the index does: what is shared is the longest beginning that is kept, so that nothing is kept twice.
    const common = [...this.prefixes].map(([prefix, other]) => ({
      prefix,
      tokens: other.filter((value, at) => value === kept[at]).length,
    }));
    const shared = common.reduce((longest, each) => (each.tokens > longest.tokens ? each : longest), { prefix: -1, tokens: 0 });
    const prefix = this.cache.keep(row, kept.length, shared.tokens > 0 ? shared : undefined);
    this.prefixes.set(prefix, kept);
  }

  /** Another row that begins alike gets what this one has; what that had of a block that is not full is written over. */
  copy(from: number, choice: number): void {
    const { text } = this.rows.get(from)!;
    const to = [...this.rows.keys()][choice % this.rows.size]!;
    const target = this.rows.get(to)!;
    const tokens = BLOCK_TOKENS * Math.floor(Math.min(text.length, target.reserved) / BLOCK_TOKENS);
    const full = BLOCK_TOKENS * Math.floor(target.text.length / BLOCK_TOKENS);
    if (tokens <= target.text.length || text.slice(0, full).join() !== target.text.slice(0, full).join()) return;
    this.cache.copy(from, to, tokens);
    target.text.splice(0, target.text.length, ...text.slice(0, tokens));
  }

  forget(choice: number): void {
    const prefix = [...this.prefixes.keys()][choice % Math.max(1, this.prefixes.size)];
    if (prefix === undefined) return;
    this.cache.forget(prefix);
    this.prefixes.delete(prefix);
  }

  close(row: number): void {
    this.cache.close(row);
    this.rows.delete(row);
  }

  /** Everything that is there, as it should be; looking moves blocks. */
  check(together: readonly number[]): void {
    const bound = together.length > 0 ? this.cache.bindTogether(together) : undefined;
    for (const [index, row] of together.entries()) expect(textOf(bound!, index, this.rows.get(row)!.text.length)).toEqual(this.text(row));
    for (const [row, { text }] of this.rows) {
      expect(this.cache.length(row)).toBe(text.length);
      if (text.length > 0) expect(textOf(this.cache.bindAlone(row), 0, text.length)).toEqual(this.text(row));
    }
    const blocks = new Set([...this.prefixes.values()].flatMap((text) => text.filter((_, index) => index % BLOCK_TOKENS === 0)));
    expect(this.cache.keptTokens).toBe(blocks.size * BLOCK_TOKENS);
  }

  text(row: number): number[] {
    return this.rows.get(row)!.text;
  }

  /** With all rows gone, what is kept can still be read, and with that gone the whole room is there again. */
  drain(): void {
    for (const row of [...this.rows.keys()]) this.close(row);
    for (const [prefix, text] of this.prefixes) {
      expect(this.cache.open(0, text.length, { prefix, tokens: text.length })).toBe(true);
      expect(textOf(this.cache.bindAlone(0), 0, text.length)).toEqual(text);
      this.cache.close(0);
    }
    for (const prefix of this.prefixes.keys()) this.cache.forget(prefix);
    expect(this.cache.keptTokens).toBe(0);
    this.prefixes.clear();
    this.open(TOKENS_MAX, 0, 0);
    this.append(0, TOKENS_MAX);
    this.check([]);
  }
}

/** What a step would read of a row: its keys, and with them its values. */
function textOf({ window, rows }: BoundBlocks, index: number, length: number): number[] {
  const read = (values: Float32Array) =>
    rows[index]!.flatMap((block) => [...values.subarray(block * BLOCK_TOKENS, (block + 1) * BLOCK_TOKENS)]).slice(0, length);
  expect(read(window.values[0]!)).toEqual(read(window.keys[0]!));
  return read(window.keys[0]!);
}

const small = fc.nat({ max: 7 });
const OPERATION = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("open"), fc.integer({ min: 1, max: 300 }), small, small) },
  { weight: 5, arbitrary: fc.tuple(fc.constant("append"), small, fc.integer({ min: 1, max: 150 }), small) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("keep"), small, small, small) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("copy"), small, small, small) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("forget"), small, small, small) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("close"), small, small, small) },
);

describe("a cache of rows and kept prefixes", () => {
  test("reads as written whoever shares a block, whatever moves, and loses none", () => {
    fc.assert(
      fc.property(fc.array(OPERATION, { minLength: 30, maxLength: 60, size: "max" }), (operations) => {
        const model = new Model();
        for (const [kind, first, second, third] of operations) {
          const row = [...model.rows.keys()][first % Math.max(1, model.rows.size)];
          if (kind === "open") model.open(first, second, third);
          else if (kind === "forget") model.forget(first);
          else if (row !== undefined && kind === "append") model.append(row, second);
          else if (row !== undefined && kind === "keep") model.keep(row, second);
          else if (row !== undefined && kind === "copy") model.copy(row, second);
          else if (row !== undefined && kind === "close") model.close(row);
          model.check([...model.rows.keys()].filter((each) => model.text(each).length > 0 && (each + first) % 3 > 0));
        }
        model.drain();
      }),
      { numRuns: 50 },
    );
  });

  test("a row takes over what no other row has, without a copy; the next one at the same time gets its own", () => {
    const model = new Model();
    model.open(200, 0, 0);
    model.append(0, 200);
    model.keep(0, 2);
    model.close(0);
    expect(model.cache.keptTokens).toBe(3 * BLOCK_TOKENS);
    model.open(10, 0, 2);
    model.open(10, 0, 2);
    const blocks = [0, 1].map((row) => model.cache.bindAlone(row).rows[0]);
    expect(blocks[0]).toEqual([0, 1, 2]);
    expect(model.cache.bindTogether([0, 1]).rows).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    for (const row of [0, 1]) model.append(row, 10);
    model.check([0, 1]);
  });

  test("a row that needs the room is refused while prefixes have it, and finds it when they are forgotten", () => {
    const model = new Model();
    for (let text = 0; text < 4; text++) {
      model.open(250, 9, 0);
      if (!model.rows.has(0)) model.open(250, 0, 0);
      model.append(0, 250);
      model.keep(0, 2);
      model.close(0);
    }
    const prefixes = [...model.prefixes.keys()];
    expect(model.cache.open(1, TOKENS_MAX)).toBe(false);
    for (const prefix of prefixes) model.cache.forget(prefix);
    expect(model.cache.open(1, TOKENS_MAX)).toBe(true);
  });
});
