import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asBaseDigest, asRequestId, asTenantId, type Claim } from "#kernel";
import { describeStateStore } from "../contract-suite.ts";
import { MIGRATIONS, migrate } from "./schema.ts";
import { openEmbeddedStore } from "./store.ts";

describeStateStore("the embedded store", async () => {
  const folder = await mkdtemp(join(tmpdir(), "embedded-store-"));
  return { open: () => openEmbeddedStore(join(folder, "state.sqlite")), remove: () => rm(folder, { recursive: true }) };
});

const claim: Claim = {
  requestId: asRequestId("r1"),
  attempt: 1,
  tenantId: asTenantId("acme"),
  baseDigest: asBaseDigest("b".repeat(64)),
  priceVersion: 1,
  usage: { promptTokens: 3, cachedTokens: 0, completionTokens: 5 },
  outcome: "completed",
  admittedAt: 0,
};

describe("the embedded store's file", () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "embedded-store-"));
    file = join(folder, "state.sqlite");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("may be memory", async () => {
    await using store = await openEmbeddedStore(":memory:");
    await store.ledger.post([claim]);
    expect(await store.ledger.usage({ by: [] })).toMatchObject([{ completionTokens: 5 }]);
  });

  it("holds what was posted before the store was told to close: another reader sees it at once", async () => {
    await using store = await openEmbeddedStore(file);
    await store.ledger.post([claim]);
    using reader = new DatabaseSync(file, { readOnly: true });
    expect(reader.prepare("SELECT count(*) AS n FROM claims").get()).toEqual({ n: 1 });
    expect(reader.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  });

  it("keeps raw claims, only those that changed something, and lets nobody change them", async () => {
    await using store = await openEmbeddedStore(file);
    await store.ledger.post([claim, claim, { ...claim, usage: { ...claim.usage, completionTokens: 2 } }]);
    using other = new DatabaseSync(file);
    const rows = other.prepare("SELECT body FROM claims").all();
    expect(rows.map(({ body }) => JSON.parse(body as string))).toEqual([claim]);
    expect(() => other.exec("UPDATE claims SET body = '{}'")).toThrow("append-only");
    expect(() => other.exec("DELETE FROM claims")).toThrow("append-only");
    expect(() => other.exec("UPDATE postings SET completion_tokens = 0")).toThrow("append-only");
    expect(() => other.exec("DELETE FROM postings")).toThrow("append-only");
  });

  it("is refused when it is no database", async () => {
    await writeFile(file, "not a database, but long enough to look like a header".repeat(10));
    await expect(openEmbeddedStore(file)).rejects.toMatchObject({ reason: "store_unreachable" });
  });

  it("is refused when a later version wrote it", async () => {
    await (await openEmbeddedStore(file))[Symbol.asyncDispose]();
    using other = new DatabaseSync(file);
    other.exec("INSERT INTO migrations VALUES (99, 'from the future')");
    await expect(openEmbeddedStore(file)).rejects.toMatchObject({ reason: "parameter_unsupported" });
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
    const store = await openEmbeddedStore(file);
    const watch = store.records.watch("", new AbortController().signal)[Symbol.asyncIterator]();
    const next = watch.next();
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await expect(next).rejects.toMatchObject({ reason: "store_unreachable" });
    await expect(store.records.get("a")).rejects.toMatchObject({ reason: "store_unreachable" });
    await expect(store.ledger.post([claim])).rejects.toMatchObject({ reason: "store_unreachable" });
  });
});
