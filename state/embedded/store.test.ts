import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "#kernel";
import { changeOf } from "../contract-suite/book-change.ts";
import { describeStateStore } from "../contract-suite.ts";
import { MIGRATIONS, migrate } from "./schema.ts";
import { openEmbeddedStore } from "./store.ts";

describeStateStore("the embedded store", async () => {
  const folder = await mkdtemp(join(tmpdir(), "embedded-store-"));
  const clock = new VirtualClock();
  return { clock, open: () => openEmbeddedStore(join(folder, "state.sqlite"), { clock }), remove: () => rm(folder, { recursive: true }) };
});

describe("the embedded store's file", () => {
  const deps = { clock: new VirtualClock() };
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "embedded-store-"));
    file = join(folder, "state.sqlite");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("may be memory, and says that this is weak", async () => {
    await using memory = await openEmbeddedStore(":memory:", deps);
    expect(await memory.journal.commit([changeOf("acme", 0, "one")])).toMatchObject([{ kind: "committed" }]);
    expect(memory.weaknesses).toHaveLength(1);
    await using onDisk = await openEmbeddedStore(file, deps);
    expect(onDisk.weaknesses).toEqual([]);
  });

  it("holds what was committed before the store was told to close: another reader sees it at once", async () => {
    await using store = await openEmbeddedStore(file, deps);
    await store.journal.commit([changeOf("acme", 0, "one")]);
    using reader = new DatabaseSync(file, { readOnly: true });
    expect(reader.prepare("SELECT count(*) AS n FROM lines").get()).toEqual({ n: 1 });
    expect(reader.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  });

  it("lets nobody change or remove a line, also not around this code", async () => {
    await using store = await openEmbeddedStore(file, deps);
    await store.journal.commit([changeOf("acme", 0, "one")]);
    using other = new DatabaseSync(file);
    expect(() => other.exec("UPDATE lines SET text = 'other'")).toThrow("append-only");
    expect(() => other.exec("DELETE FROM lines")).toThrow("append-only");
    expect(() => other.exec("DELETE FROM books")).toThrow("FOREIGN KEY");
  });

  it("is refused when it is no database", async () => {
    await writeFile(file, "not a database, but long enough to look like a header".repeat(10));
    await expect(openEmbeddedStore(file, deps)).rejects.toMatchObject({ reason: "store_unreachable" });
  });

  it("is refused when a later version wrote it", async () => {
    await (await openEmbeddedStore(file, deps))[Symbol.asyncDispose]();
    using other = new DatabaseSync(file);
    other.exec("INSERT INTO migrations VALUES (99, 'from the future')");
    await expect(openEmbeddedStore(file, deps)).rejects.toMatchObject({ reason: "parameter_unsupported" });
  });

  it("is brought up from any earlier schema, step by step", () => {
    for (let from = 0; from <= MIGRATIONS.length; from++) {
      using database = new DatabaseSync(":memory:");
      migrate(database, MIGRATIONS.slice(0, from));
      migrate(database, MIGRATIONS);
      const steps = database.prepare("SELECT name FROM migrations ORDER BY version").all();
      expect(steps.map(({ name }) => name)).toEqual(MIGRATIONS.map(({ name }) => name));
    }
  });

  it("answers store_unreachable once it is closed, also to those who watch", async () => {
    const store = await openEmbeddedStore(file, deps);
    const watch = store.records.watch("", new AbortController().signal)[Symbol.asyncIterator]();
    const next = watch.next();
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await expect(next).rejects.toMatchObject({ reason: "store_unreachable" });
    await expect(store.records.get("a")).rejects.toMatchObject({ reason: "store_unreachable" });
    await expect(store.journal.commit([changeOf("acme", 0, "one")])).rejects.toMatchObject({ reason: "store_unreachable" });
    await expect(store.meters.live("acme")).rejects.toMatchObject({ reason: "store_unreachable" });
  });
});
