import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { asTenantId, sha256Hex, systemClock } from "#kernel";
import { openEmbeddedStore, type StoredLine } from "#state";
import { type BookTotals, readLines, readTotals } from "./book-totals.ts";
import { type Difference, recountBook } from "./recount.ts";
import { claimOf, ledgerOver, PRICES, ROUTER } from "./testing/fixture.ts";

const ACME = asTenantId("acme");

let lines: readonly StoredLine[];
let totals: BookTotals;

/** A book with three requests, one of them told of by two, and a correction. */
beforeAll(async () => {
  await using store = await openEmbeddedStore(":memory:", { clock: systemClock });
  const { ledger } = ledgerOver(store.journal);
  for (const request of ["one", "two", "three"]) await ledger.post([claimOf(request, { promptTokens: 5, completionTokens: 7 }, ROUTER)]);
  await ledger.post([claimOf("two", { promptTokens: 5, cachedTokens: 2, completionTokens: 9 }, { outcome: "completed" })]);
  await ledger.correct({ id: "refund", tenantId: ACME, requestId: "one", amount: -50n, reason: "slow" });
  totals = await readTotals({ journal: store.journal, clock: systemClock }, ACME);
  lines = await Array.fromAsync(readLines(store.journal, ACME, totals.head));
});

async function differences(changed: { lines?: readonly StoredLine[]; totals?: Partial<BookTotals> } = {}): Promise<readonly Difference[]> {
  const input = { book: ACME, lines: changed.lines ?? lines, totals: { ...totals, ...changed.totals }, prices: PRICES };
  return (await recountBook(input)).differences;
}

/** As a forger with write access to the store would do it: a chain that holds. */
function chainedAgain(texts: readonly string[]): readonly StoredLine[] {
  let hash = "";
  return texts.map((text, index) => {
    hash = sha256Hex(`${hash}\n${text}`);
    return { position: index + 1, text, hash };
  });
}

const headOf = (book: readonly StoredLine[]) => ({ position: book.length, hash: book.at(-1)!.hash });

describe("the recount", () => {
  it("finds nothing to say of an honest book, and says what it counted", async () => {
    expect(lines).toHaveLength(9);
    const counted = await recountBook({ book: ACME, lines, totals, prices: PRICES });
    expect(counted).toEqual({
      ...{ differences: [], omitted: 0, lines: 9, claims: 4, entries: 4, corrections: 1, requests: 3 },
      nanoUsd: BigInt(2 * (5 * 100 + 7 * 400) + (3 * 100 + 2 * 25 + 9 * 400) - 50),
    });
  });

  it("notices any one character that was changed, wherever it is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(), fc.integer({ min: 33, max: 126 }), async (index, at, code) => {
        const { text } = lines[index]!;
        const place = at % text.length;
        fc.pre(text.charCodeAt(place) !== code);
        const flipped = text.slice(0, place) + String.fromCharCode(code) + text.slice(place + 1);
        const found = await differences({ lines: lines.with(index, { ...lines[index]!, text: flipped }) });
        expect(found.map(({ position }) => position)).toContain(index + 1);
      }),
      { numRuns: 300 },
    );
  });

  it("notices a line that was removed, repeated or moved", async () => {
    for (const index of lines.keys()) {
      expect(await differences({ lines: lines.toSpliced(index, 1) }), `removed ${index}`).not.toEqual([]);
      expect(await differences({ lines: lines.toSpliced(index, 0, lines[index]!) }), `repeated ${index}`).not.toEqual([]);
      if (index > 0)
        expect(await differences({ lines: lines.with(index, lines[index - 1]!).with(index - 1, lines[index]!) })).not.toEqual([]);
    }
  });

  it("notices them also in a forged chain, by what the claims come to", async () => {
    const texts = lines.map(({ text }) => text);
    for (const index of texts.keys()) {
      const removed = chainedAgain(texts.toSpliced(index, 1));
      expect(await differences({ lines: removed, totals: { head: headOf(removed) } }), `removed ${index}`).not.toEqual([]);
      if (!texts[index]!.includes('"kind":"claim"')) {
        const repeated = chainedAgain(texts.toSpliced(index, 0, texts[index]!));
        expect(await differences({ lines: repeated, totals: { head: headOf(repeated) } }), `repeated ${index}`).not.toEqual([]);
      }
    }
  });

  it("notices an entry without a claim, and one that says another amount", async () => {
    const texts = lines.map(({ text }) => text);
    const entry = texts.findIndex((text) => text.includes('"kind":"entry"'));
    const foreign = chainedAgain([...texts, texts[entry]!.replace('"requestId":"one"', '"requestId":"ghost"')]);
    const found = await differences({ lines: foreign, totals: { head: headOf(foreign) } });
    expect(found.map(({ what }) => what)).toContain("the entry is of request ghost, of which there is no claim");
    const dearer = chainedAgain(texts.with(entry, texts[entry]!.replaceAll("3300", "3301")));
    expect(
      (await differences({ lines: dearer, totals: { head: headOf(dearer) } })).find(({ position }) => position === entry + 1)?.what,
    ).toBe("the entry says 3301 nano-dollars; its tokens come to 3300");
  });

  it("notices any counter that was changed, dropped or made up", async () => {
    for (const [name, amount] of totals.counters) {
      const changed = new Map(totals.counters).set(name, amount + 1n);
      const dropped = new Map(totals.counters);
      dropped.delete(name);
      for (const counters of [changed, dropped]) {
        const found = await differences({ totals: { counters } });
        expect(found.map(({ what }) => what)).toContainEqual(expect.stringContaining(`"${name}"`));
      }
    }
    expect(await differences({ totals: { counters: new Map(totals.counters).set("accounts purse", 0n) } })).toEqual([]);
    expect(await differences({ totals: { counters: new Map(totals.counters).set("accounts purse", 1n) } })).not.toEqual([]);
  });

  it("notices a head that is not the last line's, and a price list that is not the one that was charged by", async () => {
    expect(await differences({ totals: { head: { ...totals.head, position: 10 } } })).not.toEqual([]);
    expect(await differences({ totals: { head: { ...totals.head, hash: "0".repeat(64) } } })).not.toEqual([]);
    const prices = new Map([[1, PRICES.get(2)!]]);
    expect((await recountBook({ book: ACME, lines, totals, prices })).differences).not.toEqual([]);
    expect((await recountBook({ book: ACME, lines, totals, prices: new Map() })).differences).not.toEqual([]);
  });
});
