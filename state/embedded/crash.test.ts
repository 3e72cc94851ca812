import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { systemClock } from "#kernel";
import { openEmbeddedStore } from "./store.ts";

const BOOKS = ["acme", "zeta"];
const LINES = 3;

/**
 * Commits to two books at a time, as fast as it can: each change appends three lines, counts them, and notes the number of
 * the change. Says each position that it was told is durable.
 */
const WRITER = `
  const { openEmbeddedStore } = await import(${JSON.stringify(join(import.meta.dirname, "store.ts"))});
  const { systemClock } = await import(${JSON.stringify(join(import.meta.dirname, "../../kernel/index.ts"))});
  const { journal } = await openEmbeddedStore(process.argv[1], { clock: systemClock });
  const books = ${JSON.stringify(BOOKS)};
  for (;;) {
    const pages = await journal.read(books.map((book) => ({ book, keys: [] })));
    const outcomes = await journal.commit(pages.map(({ book, head }) => ({
      book,
      basedOn: head.position,
      lines: Array.from({ length: ${LINES} }, (_, index) => ({ text: "line " + (head.position + 1 + index), hash: "hash" })),
      values: new Map([["last", String(head.position + ${LINES})]]),
      counters: [{ group: "lines", name: "ever", amount: ${LINES}n }],
      releases: [],
    })));
    for (const [index, { head }] of outcomes.entries()) process.stdout.write(books[index] + " " + head.position + "\\n");
    await new Promise((resolve) => setImmediate(resolve));
  }
`;

it("a writer killed with SIGKILL, again and again, loses nothing that it was told is durable, and leaves no change half done", async () => {
  const folder = await mkdtemp(join(tmpdir(), "embedded-store-crash-"));
  const file = join(folder, "state.sqlite");
  for (const lines of [200, 50, 400]) {
    const acknowledged = new Map<string, number>();
    const writer = spawn(process.execPath, ["--input-type=module", "-e", WRITER, file], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(writer, "close");
    let told = 0;
    for await (const line of createInterface({ input: writer.stdout })) {
      const [book, position] = line.split(" ");
      acknowledged.set(book!, Number(position));
      if (++told === lines) writer.kill("SIGKILL"); // What was said before the kill arrived counts too.
    }
    await ended;
    expect(told).toBeGreaterThanOrEqual(lines);

    await using store = await openEmbeddedStore(file, { clock: systemClock });
    const { journal } = store;
    for (const { book, head, values } of await journal.read(BOOKS.map((book) => ({ book, keys: ["last"] })))) {
      expect(head.position).toBeGreaterThanOrEqual(acknowledged.get(book)!);
      expect(head.position % LINES).toBe(0);
      expect(values.get("last")).toBe(String(head.position));
      expect(await journal.counters(book, ["lines"])).toEqual([new Map([["ever", BigInt(head.position)]])]);
      const texts = (await journal.lines(book, 1, 10_000)).map(({ text }) => text);
      expect(texts).toEqual(Array.from({ length: head.position }, (_, index) => `line ${index + 1}`));
    }
  }
  await rm(folder, { recursive: true });
});
