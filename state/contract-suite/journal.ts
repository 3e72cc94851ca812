import { describe, expect, it } from "vitest";
import type { BookChange } from "../contract.ts";
import type { OpenStore } from "../contract-suite.ts";
import { BOOKS_MAX, CHANGE_BYTES_MAX, CHANGE_ITEMS_MAX, LINE_BYTES_MAX, NAME_LENGTH_MAX, PAGE_LINES_MAX } from "../limits.ts";
import { changeOf, lineOf, textsOf } from "./book-change.ts";

const CONFLICT = { kind: "conflict" };

/** Books: lines that are only ever appended, and values that change with them. */
export function describeJournal(open: OpenStore): void {
  describe("the journal", () => {
    it("has an empty book under every name", async () => {
      const { journal } = open.store;
      const [page] = await journal.read([{ book: "acme", keys: ["request/1"] }]);
      expect(page).toEqual({ book: "acme", head: { position: 0, hash: "" }, values: new Map() });
      expect(await journal.lines("acme", 1, 10)).toEqual([]);
      expect(await journal.groups("acme")).toEqual([]);
      expect(await journal.counters("acme", ["day", "month"])).toEqual([new Map(), new Map()]);
      expect(await journal.books()).toEqual([]);
      expect(await journal.read([])).toEqual([]);
      expect(await journal.commit([])).toEqual([]);
    });

    it("appends to a book on the condition that it still ends where the writer saw it end", async () => {
      const { journal } = open.store;
      const two = { lines: [lineOf("one"), lineOf("two")] };
      const head = { position: 2, hash: "hash of two" };
      expect(await journal.commit([changeOf("acme", 0, "", two)])).toEqual([{ kind: "committed", head }]);
      for (const basedOn of [0, 1, 3]) expect(await journal.commit([changeOf("acme", basedOn, "no")])).toEqual([CONFLICT]);
      expect(await journal.commit([changeOf("acme", 2, "three")])).toMatchObject([{ kind: "committed", head: { position: 3 } }]);
      expect(await journal.lines("acme", 1, 10)).toEqual([
        { position: 1, text: "one", hash: "hash of one" },
        { position: 2, text: "two", hash: "hash of two" },
        { position: 3, text: "three", hash: "hash of three" },
      ]);
    });

    it("does a change once, however often it arrives: its repetition is a conflict", async () => {
      const { journal } = open.store;
      const change = changeOf("acme", 0, "one", { counters: [{ group: "day", name: "tokens", amount: 5n }] });
      expect(await journal.commit([change])).toMatchObject([{ kind: "committed" }]);
      expect(await journal.commit([change])).toEqual([CONFLICT]);
      expect(await textsOf(journal, "acme")).toEqual(["one"]);
      expect(await journal.counters("acme", ["day"])).toEqual([new Map([["tokens", 5n]])]);
    });

    it("lets one of many writers win", async () => {
      const { journal } = open.store;
      const writers = Array.from({ length: 20 }, (_, writer) => `writer ${writer}`);
      const counters = [{ group: "day", name: "commits", amount: 1n }];
      const outcomes = await Promise.all(writers.map((writer) => journal.commit([changeOf("acme", 0, writer, { counters })])));
      const winners = writers.filter((_, index) => outcomes[index]![0]!.kind === "committed");
      expect(winners).toHaveLength(1);
      expect(await textsOf(journal, "acme")).toEqual(winners);
      expect(await journal.counters("acme", ["day"])).toEqual([new Map([["commits", 1n]])]);
    });

    it("loses nothing when writers in a conflict read and commit again", async () => {
      const { journal } = open.store;
      const append = async (text: string): Promise<void> => {
        const [page] = await journal.read([{ book: "acme", keys: ["sum"] }]);
        const sum = Number(page!.values.get("sum") ?? 0) + 1;
        const values = new Map([["sum", String(sum)]]);
        const [outcome] = await journal.commit([changeOf("acme", page!.head.position, text, { values })]);
        if (outcome!.kind === "conflict") await append(text);
      };
      const texts = Array.from({ length: 16 }, (_, writer) => `writer ${writer}`);
      await Promise.all(texts.map(append));
      expect([...(await textsOf(journal, "acme"))].sort()).toEqual([...texts].sort());
      const [page] = await journal.read([{ book: "acme", keys: ["sum"] }]);
      expect(page!.values.get("sum")).toBe("16");
    });

    it("does all of a change or, in a conflict, nothing", async () => {
      const { journal } = open.store;
      await journal.commit([changeOf("acme", 0, "one", { values: new Map([["state", "first"]]) })]);
      const stale: Partial<BookChange> = {
        values: new Map([["state", "second"]]),
        counters: [{ group: "day", name: "tokens", amount: 5n }],
      };
      expect(await journal.commit([changeOf("acme", 0, "two", stale)])).toEqual([CONFLICT]);
      const [page] = await journal.read([{ book: "acme", keys: ["state"] }]);
      expect(page).toEqual({ book: "acme", head: { position: 1, hash: "hash of one" }, values: new Map([["state", "first"]]) });
      expect(await journal.groups("acme")).toEqual([]);
    });

    it("takes many books at a time, each with its own outcome, in order", async () => {
      const { journal } = open.store;
      await journal.commit([changeOf("busy", 0, "one")]);
      const outcomes = await journal.commit([changeOf("acme", 0, "a"), changeOf("busy", 0, "b"), changeOf("zeta", 0, "z")]);
      expect(outcomes.map(({ kind }) => kind)).toEqual(["committed", "conflict", "committed"]);
      const pages = await journal.read(["zeta", "busy", "nobody", "acme"].map((book) => ({ book, keys: [] })));
      expect(pages.map(({ book, head }) => [book, head.position, head.hash])).toEqual([
        ["zeta", 1, "hash of z"],
        ["busy", 1, "hash of one"],
        ["nobody", 0, ""],
        ["acme", 1, "hash of a"],
      ]);
    });

    it("keeps the last value of each key, apart for each book, and tells only what was asked for and is there", async () => {
      const { journal } = open.store;
      const first = new Map([
        ["a", "1"],
        ["b", ""],
        ["c", "3"],
      ]);
      await journal.commit([
        changeOf("acme", 0, "one", { values: first }),
        changeOf("zeta", 0, "one", { values: new Map([["a", "zeta's"]]) }),
      ]);
      await journal.commit([changeOf("acme", 1, "two", { values: new Map([["a", "2"]]) })]);
      const pages = await journal.read([
        { book: "acme", keys: ["a", "b", "none"] },
        { book: "zeta", keys: ["a", "b"] },
      ]);
      expect(pages.map(({ values }) => Object.fromEntries(values))).toEqual([{ a: "2", b: "" }, { a: "zeta's" }]);
    });

    it("keeps every text as it is", async () => {
      const { journal } = open.store;
      const text = 'Ä "quoted" \\ \n\t 日本語 👩‍👩‍👧 \u0000 {a} $1 %s';
      await journal.commit([
        changeOf(text, 0, text, { values: new Map([[text, text]]), counters: [{ group: text, name: text, amount: 1n }] }),
      ]);
      expect(await journal.books()).toEqual([text]);
      expect(await journal.lines(text, 1, 1)).toEqual([{ position: 1, ...lineOf(text) }]);
      expect((await journal.read([{ book: text, keys: [text] }]))[0]!.values).toEqual(new Map([[text, text]]));
      expect(await journal.groups(text)).toEqual([text]);
      expect(await journal.counters(text, [text])).toEqual([new Map([[text, 1n]])]);
    });

    it("gives its lines by pages", async () => {
      const { journal } = open.store;
      const lines = Array.from({ length: 25 }, (_, index) => lineOf(`line ${index + 1}`));
      await journal.commit([changeOf("acme", 0, "", { lines })]);
      const page = async (from: number, count: number) => (await journal.lines("acme", from, count)).map(({ position }) => position);
      expect(await page(1, 3)).toEqual([1, 2, 3]);
      expect(await page(11, 2)).toEqual([11, 12]);
      expect(await page(24, 10)).toEqual([24, 25]);
      expect(await page(25, 1)).toEqual([25]);
      expect(await page(26, 10)).toEqual([]);
      expect((await journal.lines("acme", 7, 1))[0]!.text).toBe("line 7");
    });

    it("names all books that were ever written, in order", async () => {
      const { journal } = open.store;
      for (const book of ["zeta", "acme", "b-10", "b-9", "B", "Ä"]) await journal.commit([changeOf(book, 0, "one")]);
      await journal.commit([changeOf("never", 1, "conflict")]);
      expect(await journal.books()).toEqual(["B", "acme", "b-10", "b-9", "zeta", "Ä"]);
    });

    it("is still there after the store was closed and opened again", async () => {
      const more = { values: new Map([["a", "1"]]), counters: [{ group: "day", name: "tokens", amount: 2n ** 60n }] };
      await open.store.journal.commit([changeOf("acme", 0, "one", more)]);
      await open.reopen();
      const { journal } = open.store;
      const [page] = await journal.read([{ book: "acme", keys: ["a"] }]);
      expect(page).toEqual({ book: "acme", head: { position: 1, hash: "hash of one" }, values: new Map([["a", "1"]]) });
      expect(await journal.counters("acme", ["day"])).toEqual([new Map([["tokens", 2n ** 60n]])]);
      expect(await journal.commit([changeOf("acme", 0, "again")])).toEqual([CONFLICT]);
      expect(await textsOf(journal, "acme")).toEqual(["one"]);
    });

    it("takes a change of a thousand lines", async () => {
      const { journal } = open.store;
      const indices = Array.from({ length: 1000 }, (_, index) => index);
      const change = changeOf("acme", 0, "", {
        lines: indices.map((index) => lineOf(`line ${index}`)),
        values: new Map(indices.map((index) => [`request/${index}`, `state ${index}`])),
        counters: indices.map((index) => ({ group: `minute ${index % 10}`, name: "tokens", amount: 1n })),
      });
      expect(await journal.commit([change])).toMatchObject([{ kind: "committed", head: { position: 1000 } }]);
      expect(await textsOf(journal, "acme")).toHaveLength(1000);
      expect((await journal.read([{ book: "acme", keys: [...change.values.keys()] }]))[0]!.values).toEqual(change.values);
      expect(await journal.counters("acme", ["minute 3"])).toEqual([new Map([["tokens", 100n]])]);
    });

    it("refuses what is no change, names the field, and does nothing of the commit", async () => {
      const { journal } = open.store;
      const refusals: readonly (readonly [Partial<BookChange>, object])[] = [
        [{ book: "" }, { reason: "parameter_invalid", detail: { field: "book" } }],
        [{ book: "x".repeat(NAME_LENGTH_MAX + 1) }, { reason: "parameter_invalid", detail: { field: "book" } }],
        [{ book: "acme" }, { reason: "parameter_invalid", detail: { field: "book" } }],
        [{ basedOn: -1 }, { reason: "parameter_invalid", detail: { field: "basedOn" } }],
        [{ basedOn: 0.5 }, { reason: "parameter_invalid", detail: { field: "basedOn" } }],
        [{ lines: [] }, { reason: "parameter_invalid", detail: { field: "lines" } }],
        [{ lines: [{ text: "half a pair \ud800", hash: "h" }] }, { reason: "parameter_invalid", detail: { field: "text" } }],
        [{ lines: [{ text: "a", hash: "" }] }, { reason: "parameter_invalid", detail: { field: "hash" } }],
        [{ lines: [{ text: "x".repeat(LINE_BYTES_MAX + 1), hash: "h" }] }, { reason: "message_too_large", detail: { field: "text" } }],
        [{ values: new Map([["", "1"]]) }, { reason: "parameter_invalid", detail: { field: "key" } }],
        [{ values: new Map([["a", "ä".repeat(LINE_BYTES_MAX / 2 + 1)]]) }, { reason: "message_too_large", detail: { field: "value" } }],
        [{ counters: [{ group: "", name: "tokens", amount: 1n }] }, { reason: "parameter_invalid", detail: { field: "group" } }],
        [{ counters: [{ group: "day", name: "", amount: 1n }] }, { reason: "parameter_invalid", detail: { field: "name" } }],
        [{ releases: [""] }, { reason: "parameter_invalid", detail: { field: "id" } }],
        [{ releases: Array(CHANGE_ITEMS_MAX + 1).fill("id") }, { reason: "parameter_invalid", detail: { field: "releases" } }],
        [
          { lines: Array(CHANGE_BYTES_MAX / LINE_BYTES_MAX + 1).fill({ text: "x".repeat(LINE_BYTES_MAX), hash: "h" }) },
          { reason: "message_too_large" },
        ],
      ];
      for (const [wrong, fault] of refusals) {
        const commit = journal.commit([changeOf("acme", 0, "fine"), changeOf("zeta", 0, "wrong", wrong)]);
        await expect(commit, JSON.stringify(fault)).rejects.toMatchObject(fault);
      }
      const books = Array.from({ length: BOOKS_MAX + 1 }, (_, index) => changeOf(`book ${index}`, 0, "one"));
      await expect(journal.commit(books)).rejects.toMatchObject({ detail: { field: "changes" } });
      expect(await journal.books()).toEqual([]);
    });

    it("refuses what is no page", async () => {
      const { journal } = open.store;
      await expect(journal.read([{ book: "", keys: [] }])).rejects.toMatchObject({ detail: { field: "book" } });
      await expect(journal.read([{ book: "acme", keys: [""] }])).rejects.toMatchObject({ detail: { field: "key" } });
      await expect(journal.lines("acme", 0, 1)).rejects.toMatchObject({ detail: { field: "from" } });
      await expect(journal.lines("acme", 1, 0)).rejects.toMatchObject({ detail: { field: "count" } });
      await expect(journal.lines("acme", 1, PAGE_LINES_MAX + 1)).rejects.toMatchObject({ detail: { field: "count" } });
      await expect(journal.groups("")).rejects.toMatchObject({ detail: { field: "book" } });
      await expect(journal.counters("acme", [""])).rejects.toMatchObject({ detail: { field: "group" } });
    });
  });
}
