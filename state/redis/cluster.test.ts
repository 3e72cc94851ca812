import { afterAll, beforeAll, expect, it } from "vitest";
import { isFault, type Log, systemClock, systemRandom } from "#kernel";
import type { StateStore } from "../contract.ts";
import { openRedisRegistry } from "./registry.ts";
import { openRedisStore } from "./store.ts";
import { describeUnless } from "./testing/describe-unless.ts";
import { type RedisCluster, startRedisCluster } from "./testing/redis-cluster.ts";
import { redisMissing } from "./testing/redis-server.ts";

const BOOKS = Array.from({ length: 30 }, (_, book) => `book-${book}`);
const change = (book: string, basedOn: number) => ({
  book,
  basedOn,
  lines: [{ text: `${book} ${basedOn}`, hash: "h" }],
  values: new Map(),
  counters: [],
  releases: [],
});

const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

describeUnless(redisMissing(), "a Redis Cluster", () => {
  let cluster: RedisCluster;
  let store: StateStore;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    store = await openRedisStore(cluster.url, { clock: systemClock });
  });
  afterAll(async () => {
    await store?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** Of each book, whether it could be changed, or undefined when its node did not answer. */
  const commitAll = (basedOn: number) =>
    Promise.all(
      BOOKS.map(async (book) => {
        try {
          const [outcome] = await store.journal.commit([change(book, basedOn)]);
          return outcome!.kind;
        } catch (error) {
          expect(isFault(error, "store_unreachable"), String(error)).toBe(true);
          return undefined;
        }
      }),
    );

  it("has a registry, on one of its nodes", async () => {
    await using registry = await openRedisRegistry(cluster.url, { clock: systemClock, random: systemRandom(), log: SILENT });
    registry.announce({ kind: "router", name: "a", address: "10.0.0.1:1" });
    const stop = new AbortController();
    for await (const peers of registry.discovery("router").watch(stop.signal)) {
      if (peers.length === 0) continue; // It looked before it was told to announce anybody.
      expect(peers).toEqual([{ address: "10.0.0.1:1", draining: false }]);
      stop.abort();
    }
  });

  it("without one of its nodes serves the others' books, or fails, but never hangs; and all of them when it is back", async () => {
    expect(new Set(await commitAll(0))).toEqual(new Set(["committed"]));
    expect(store.weaknesses).toEqual([]);
    const [, node] = cluster.servers;
    await node!.kill();
    const outcomes = await commitAll(1);
    expect(outcomes).toContain(undefined);
    expect(outcomes).not.toContain("conflict");
    await node!.start();
    for (;;) {
      const pages = await store.journal.read(BOOKS.map((book) => ({ book, keys: [] }))).catch(() => undefined);
      if (pages) {
        for (const [index, { head }] of pages.entries()) if (outcomes[index] === "committed") expect(head.position).toBe(2);
        break;
      }
      await systemClock.after(100);
    }
    expect(await store.journal.books()).toEqual([...BOOKS].sort());
  });
});
