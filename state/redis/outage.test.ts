import { afterEach, beforeEach, expect, it } from "vitest";
import { isFault, seededRandom, systemClock } from "#kernel";
import type { StateStore } from "../contract.ts";
import { openRedisStore, type RedisStoreOptions } from "./store.ts";
import { describeWithRedis } from "./testing/describe-with-redis.ts";
import { type FaultProxy, startFaultProxy } from "./testing/fault-proxy.ts";
import { rawCommand } from "./testing/raw-command.ts";

let stores = 0;
const open = (port: number, options: RedisStoreOptions = {}) =>
  openRedisStore(`redis://127.0.0.1:${port}`, { clock: systemClock }, { prefix: `outage-${stores++}:`, ...options });
const unreachable = { reason: "store_unreachable" };

/** Tries until the store is back. */
async function persist<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isFault(error, "store_unreachable")) throw error;
      await systemClock.after(20);
    }
  }
}

describeWithRedis("a redis-server that is killed", (server) => {
  it("loses nothing that it acknowledged, and the store comes back by itself", async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    console.info(`seed ${seed}`);
    const random = seededRandom(seed);
    await using store = await open(server().port);
    let stopped = false;
    const acknowledged = new Map<string, string[]>();
    /** Writes lines to a book as the ledger does: read, compute, commit; after a lost reply, all of it again. */
    const write = async (book: string) => {
      const texts: string[] = [];
      acknowledged.set(book, texts);
      for (let number = 0; !stopped; number++) {
        const text = `${book} ${number}`;
        for (let done = false; !done; ) {
          const [page] = await persist(() => store.journal.read([{ book, keys: [text] }]));
          if (page!.values.has(text)) break; // Its reply was lost, or the server died after it.
          const line = { text, hash: `hash of ${text}` };
          const change = {
            book,
            basedOn: page!.head.position,
            lines: [line],
            values: new Map([[text, "there"]]),
            counters: [{ group: "sum", name: "lines", amount: 1n }],
            releases: [],
          };
          const [outcome] = await store.journal.commit([change]).catch((error) => {
            expect(error).toMatchObject(unreachable);
            return [undefined];
          });
          done = outcome?.kind === "committed";
        }
        texts.push(text);
      }
    };
    const writers = Array.from({ length: 8 }, (_, writer) => write(`book-${writer}`));
    for (let kill = 0; kill < 6; kill++) {
      await systemClock.after(50 + random.below(100));
      await server().kill();
      if (kill % 2 === 0) await systemClock.after(random.below(100));
      await server().start();
    }
    stopped = true;
    await Promise.all(writers);
    for (const [book, texts] of acknowledged) {
      expect(texts.length).toBeGreaterThan(0);
      expect((await store.journal.lines(book, 1, 10_000)).map(({ text }) => text)).toEqual(texts);
      expect(await store.journal.counters(book, ["sum"])).toEqual([new Map([["lines", BigInt(texts.length)]])]);
    }
    expect(await store.journal.books()).toEqual([...acknowledged.keys()].sort());
  });

  it("makes calls fail, never hang, and a store cannot be opened", async () => {
    await using store = await open(server().port);
    const written = await store.records.putIf("alias/a", 1, undefined);
    await server().kill();
    await expect(store.records.get("alias/a")).rejects.toMatchObject(unreachable);
    const calls = [
      () => store.records.list(""),
      () => store.journal.read([{ book: "b", keys: [] }]),
      () => store.meters.live("a"),
      () => store.leases.acquire("l", "me", 1_000),
      () => store.answers.abandon("a", "k", "me"),
      () => store.records.watch("", new AbortController().signal)[Symbol.asyncIterator]().next(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject(unreachable);
    await expect(open(server().port, { openMs: 200 })).rejects.toMatchObject({
      ...unreachable,
      message: expect.stringContaining("ECONNREFUSED"),
    });
    await server().start();
    expect(await persist(() => store.records.get("alias/a"))).toMatchObject({ version: written.version });
  });
});

describeWithRedis("a network that fails", (server) => {
  let proxy: FaultProxy;
  let store: StateStore;
  beforeEach(async () => {
    proxy = await startFaultProxy(server().port);
    store = await open(proxy.port, { callMs: 400 });
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  });

  it("and swallows everything makes calls fail, and they work again when it is healed", async () => {
    await store.records.putIf("alias/a", 1, undefined);
    proxy.blackhole();
    await expect(store.records.get("alias/a")).rejects.toMatchObject(unreachable);
    await expect(store.journal.books()).rejects.toMatchObject(unreachable);
    proxy.heal();
    expect(await persist(() => store.records.get("alias/a"))).toMatchObject({ value: 1 });
  });

  it("and is slow delays calls, and fails those that are too late", async () => {
    proxy.delayReplies(50);
    expect(await store.records.putIf("alias/a", 1, undefined)).toMatchObject({ kind: "put" });
    proxy.delayReplies(2_000);
    await expect(store.records.get("alias/a")).rejects.toMatchObject(unreachable);
    proxy.heal();
    expect(await persist(() => store.records.get("alias/a"))).toMatchObject({ value: 1 });
  });

  it("and refuses connections is bridged when it is short: calls wait, and nothing is sent twice", async () => {
    proxy.refuse();
    const put = store.records.putIf("alias/a", 1, undefined).catch(() => persist(() => store.records.get("alias/a")));
    await systemClock.after(100);
    const later = store.records.get("alias/b");
    proxy.heal();
    expect(await later).toBeUndefined();
    await put;
  });
});

describeWithRedis("a redis-server that does not do as it should", (server) => {
  it("and forgot its scripts is told them again", async () => {
    await using store = await open(server().port);
    const first = await store.records.putIf("alias/a", 1, undefined);
    await rawCommand(server().port, "SCRIPT", "FLUSH");
    expect(await store.records.putIf("alias/a", 2, first.version)).toMatchObject({ kind: "put" });
  });

  it("and has something else at a key makes a fault that names the key, and writes nothing", async () => {
    await using store = await open(server().port, { prefix: "wrong:" });
    const damaged = (message: string) => ({ reason: "checksum_mismatch", message: expect.stringContaining(message) });
    const change = {
      book: "acme",
      basedOn: 0,
      lines: [{ text: "t", hash: "h" }],
      values: new Map(),
      counters: [{ group: "g", name: "n", amount: 1n }],
      releases: [],
    };
    await rawCommand(server().port, "SET", "wrong:{acme}:counters:g", "text");
    await expect(store.journal.commit([change])).rejects.toMatchObject(damaged("wrong:{acme}:counters:g holds a string, not a hash"));
    expect(await store.journal.lines("acme", 1, 10)).toEqual([]);
    await rawCommand(server().port, "DEL", "wrong:{acme}:counters:g");
    await rawCommand(server().port, "HSET", "wrong:{acme}:counters:g", "n", "many");
    await expect(store.journal.commit([change])).rejects.toMatchObject(damaged("no amount in the counter n"));
    await expect(store.journal.counters("acme", ["g"])).rejects.toMatchObject(damaged("wrong:{acme}:counters:g"));
    await rawCommand(server().port, "SADD", "wrong:{acme}:lines", "text");
    await expect(store.journal.lines("acme", 1, 1)).rejects.toMatchObject(damaged("holds a set, not a stream"));
    await rawCommand(server().port, "HSET", "wrong:{records}:values", "alias/a", "{}");
    await expect(store.records.get("alias/a")).rejects.toMatchObject(damaged("the record alias/a"));
    await expect(store.records.putIf("alias/a", 1, undefined)).rejects.toMatchObject(damaged("alias/a"));
    await rawCommand(server().port, "HSET", "wrong:{acme}:buckets", "tokens", "full");
    const draws = [{ meter: "tokens", amount: 1, limit: 1, windowMs: 1 }];
    await expect(store.meters.take({ account: "acme", id: "r", draws, lifeMs: 1 })).rejects.toMatchObject(
      damaged("no level of the meter tokens"),
    );
    await rawCommand(server().port, "LPUSH", "wrong:{lease:l}:lease", "x");
    await expect(store.leases.acquire("l", "me", 1)).rejects.toMatchObject(damaged("holds a list, not a hash"));
  });

  it("and has lines beyond the head refuses to write over them", async () => {
    await using store = await open(server().port, { prefix: "beyond:" });
    await rawCommand(server().port, "XADD", "beyond:{acme}:lines", "7-0", "text", "t", "hash", "h");
    const change = { book: "acme", basedOn: 0, lines: [{ text: "t", hash: "h" }], values: new Map(), counters: [], releases: [] };
    await expect(store.journal.commit([change])).rejects.toMatchObject({ reason: "checksum_mismatch" });
    expect((await store.journal.read([{ book: "acme", keys: [] }]))[0]!.head.position).toBe(0);
  });

  it("and has no memory left refuses writes whole, and takes them again when it has", async () => {
    await using store = await open(server().port);
    await rawCommand(server().port, "CONFIG", "SET", "maxmemory", "1");
    await expect(store.records.putIf("alias/a", 1, undefined)).rejects.toMatchObject({
      ...unreachable,
      message: expect.stringContaining("OOM"),
    });
    await rawCommand(server().port, "CONFIG", "SET", "maxmemory", "0");
    expect(await store.records.putIf("alias/a", 1, undefined)).toEqual({ kind: "put", version: 1 });
  });

  it("and became a replica makes writes fail until it is the primary again", async () => {
    await using store = await open(server().port);
    await rawCommand(server().port, "REPLICAOF", "127.0.0.1", "1");
    await expect(store.records.putIf("alias/a", 1, undefined)).rejects.toMatchObject({
      ...unreachable,
      message: expect.stringContaining("READONLY"),
    });
    await expect(open(server().port)).rejects.toMatchObject({ ...unreachable, message: expect.stringContaining("replica") });
    await rawCommand(server().port, "REPLICAOF", "NO", "ONE");
    expect(await persist(() => store.records.putIf("alias/a", 1, undefined))).toMatchObject({ kind: "put" });
  });
});
