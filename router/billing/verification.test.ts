import { describe, expect, test } from "vitest";
import { systemClock } from "#kernel";
import { type BookPart, readBook } from "./book-reading.ts";
import { fill } from "./testing/exported.ts";
import { type Books, claimOf, openBooks, PRICE_LISTS } from "./testing/open-books.ts";
import { verifyBooks } from "./verification.ts";

const PRICES = new Map(PRICE_LISTS.map((list) => [list.version, list]));

/** The parts of all books, as a reader may have changed them on the way. */
async function* partsOf(books: Books, change: (part: BookPart) => BookPart | undefined = (part) => part): AsyncGenerator<BookPart> {
  for (const book of await books.store.journal.books()) {
    for await (const part of readBook({ journal: books.store.journal, clock: systemClock }, book)) {
      const changed = change(part);
      if (changed) yield changed;
    }
  }
}

async function differences(
  books: Books,
  change?: (part: BookPart) => BookPart | undefined,
  prices: ReadonlyMap<number, (typeof PRICE_LISTS)[number]> = PRICES,
) {
  const verified = await Array.fromAsync(verifyBooks(partsOf(books, change), prices));
  return verified.flatMap(({ recount }) => recount.differences.map(({ book, what }) => `${book}: ${what}`));
}

test("a recount of what the ledger wrote is exact, and sums each book up", async () => {
  await using books = await openBooks();
  await fill(books);
  await books.ledger.post(Array.from({ length: 700 }, (_, index) => claimOf(`many-${index}`)));
  const verified = await Array.fromAsync(verifyBooks(partsOf(books), PRICES));
  expect(
    verified.map(({ book, recount }) => [book, recount.lines, recount.requests, recount.corrections, recount.nanoUsd, recount.differences]),
  ).toEqual([
    ["acme", 1412, 705, 2, 662_176n - 1_234_562n + 700n * 4_200n, []],
    ["rival", 2, 1, 0, 6n * 0n + 750n, []],
  ]);
});

describe("a recount tells of", () => {
  const onLines = (change: (text: string) => string) => (part: BookPart) =>
    part.kind === "lines" ? { ...part, lines: part.lines.map((line) => ({ ...line, text: change(line.text) })) } : part;

  test("a token more or less in a claim", async () => {
    await using books = await openBooks();
    await fill(books);
    const found = await differences(
      books,
      onLines((text) => text.replace('"completionTokens":500', '"completionTokens":501')),
    );
    expect(found).toContainEqual(expect.stringContaining("acme: the hash is not that of"));
    expect(found.join()).not.toContain("rival");
  });

  test("a line that is missing", async () => {
    await using books = await openBooks();
    await fill(books);
    const without = (part: BookPart) => (part.kind === "lines" ? { ...part, lines: part.lines.slice(0, -1) } : part);
    expect((await differences(books, without)).join()).toMatch(/acme: .*ends at.*rival: .*ends at/s);
  });

  test("a total that is not what the lines come to", async () => {
    await using books = await openBooks();
    await fill(books);
    const dearer = (part: BookPart) =>
      part.kind === "totals"
        ? { ...part, counters: new Map([...part.counters].map(([name, value]) => [name, name === "spent ever" ? value + 1n : value])) }
        : part;
    expect(await differences(books, dearer)).toHaveLength(2);
  });

  test("a price that is not the one that was charged, and one that does not exist", async () => {
    await using books = await openBooks();
    await fill(books);
    const [first, ...rest] = PRICE_LISTS;
    const changed = new Map([...rest, { ...first, default: { ...first.default, completion: 601 } }].map((list) => [list.version, list]));
    expect((await differences(books, undefined, changed)).join()).toContain("nano-dollars");
    expect((await differences(books, undefined, new Map(rest.map((list) => [list.version, list])))).join()).toContain("no price version 1");
  });

  test("a book whose end never came", async () => {
    await using books = await openBooks();
    await fill(books);
    const cut = (part: BookPart) => (part.kind === "totals" ? undefined : part);
    expect((await differences(books, cut)).length).toBeGreaterThan(2);
  });
});

test("lines and totals belong together while the book is written in", async () => {
  await using books = await openBooks();
  let posted = 0;
  const change = (part: BookPart) => {
    // Whatever comes after a part was read is not in the parts that follow.
    void books.ledger.post([claimOf(`later-${posted++}`)]);
    return part;
  };
  await books.ledger.post(Array.from({ length: 600 }, (_, index) => claimOf(`r${index}`)));
  expect(await differences(books, change)).toEqual([]);
  expect(posted).toBeGreaterThan(2);
});
