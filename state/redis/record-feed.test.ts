import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "#kernel";
import type { RecordChange, StateStore } from "../contract.ts";
import { openRedisStore } from "./store.ts";
import { describeWithRedis } from "./testing/describe-with-redis.ts";
import { type FaultProxy, startFaultProxy } from "./testing/fault-proxy.ts";
import { rawCommand } from "./testing/raw-command.ts";

let stores = 0;

describeWithRedis("a watch on the records", (server) => {
  let proxy: FaultProxy;
  let prefix: string;
  /** One router watches through the proxy, another one writes past it. */
  let watcher: StateStore;
  let writer: StateStore;
  let stop: AbortController;
  beforeEach(async () => {
    proxy = await startFaultProxy(server().port);
    prefix = `feed-${stores++}:`;
    watcher = await openRedisStore(`redis://127.0.0.1:${proxy.port}`, { clock: systemClock }, { prefix });
    writer = await openRedisStore(server().url, { clock: systemClock }, { prefix });
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    await watcher[Symbol.asyncDispose]();
    await writer[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  });
  const set = async (key: string, value: unknown) => writer.records.putIf(key, value, (await writer.records.get(key))?.version);
  const remove = async (key: string) => writer.records.removeIf(key, (await writer.records.get(key))!.version);

  /** Follows a watch; `until` resolves when what it told so far comes to these values. */
  function follow(records: StateStore["records"] = watcher.records) {
    const seen: RecordChange[] = [];
    const known = new Map<string, unknown>();
    let check = () => {};
    const ended = (async () => {
      for await (const change of records.watch("", stop.signal)) {
        seen.push(change);
        if (change.value === undefined) known.delete(change.key);
        else known.set(change.key, change.value);
        check();
      }
    })();
    const until = (values: Record<string, unknown>) =>
      Promise.race([
        ended,
        new Promise<void>((resolve) => {
          check = () => {
            if (
              known.size === Object.keys(values).length &&
              JSON.stringify([...known].sort()) === JSON.stringify(Object.entries(values).sort())
            )
              resolve();
          };
          check();
        }),
      ]);
    return { seen, until, ended };
  }

  it("hears of what other routers write, in the order of versions", async () => {
    await set("a", 1);
    const { seen, until } = follow();
    await until({ a: 1 });
    await set("b", 2);
    await remove("a");
    await set("c", 3);
    await until({ b: 2, c: 3 });
    expect(seen.map(({ version }) => version)).toEqual(seen.map(({ version }) => version).sort((one, other) => one - other));
  });

  it("tells after an outage what was written and removed meanwhile", async () => {
    await set("a", 1);
    await set("b", 1);
    const { until } = follow();
    await until({ a: 1, b: 1 });
    proxy.refuse();
    await remove("a");
    await set("b", 2);
    await set("c", 3);
    await systemClock.after(150); // Its attempts to come back fail meanwhile.
    proxy.heal();
    await until({ b: 2, c: 3 });
  });

  it("misses nothing when the changes it has not read were thrown away", async () => {
    await set("a", 1);
    await set("b", 1);
    const watch = watcher.records.watch("", stop.signal)[Symbol.asyncIterator]();
    const next = async () => (await watch.next()).value as RecordChange;
    expect([(await next()).key, (await next()).key]).toEqual(["a", "b"]);
    await remove("a");
    for (let value = 2; value <= 20; value++) await set("b", value);
    await rawCommand(server().port, "XTRIM", `${prefix}{records}:changes`, "MAXLEN", "1");
    expect([await next(), await next()]).toEqual([
      { key: "b", value: 20, version: 22 },
      { key: "a", value: undefined, version: 22 },
    ]);
  });

  it("notices that somebody emptied the store", async () => {
    await set("a", 1);
    const { until } = follow();
    await until({ a: 1 });
    await rawCommand(server().port, "FLUSHALL");
    await until({});
    await set("b", 1);
    await until({ b: 1 });
  });

  it("follows more records than fit a page, and a change of many", async () => {
    const values = Object.fromEntries(Array.from({ length: 1_200 }, (_, number) => [`key/${number}`, number]));
    await Promise.all(Object.entries(values).map(([key, value]) => writer.records.putIf(key, value, undefined)));
    const { until } = follow();
    await until(values);
    const keys = Object.keys(values).slice(0, 700);
    await Promise.all(keys.map((key) => remove(key)));
    for (const key of keys) delete values[key];
    await until(values);
    expect((await watcher.records.list("key/")).length).toBe(500);
  });

  it("ends when its signal aborts, and with a fault when the store is closed", async () => {
    const { until, ended } = follow(writer.records);
    await until({});
    stop.abort();
    await ended;
    stop = new AbortController();
    const other = follow();
    await set("a", 1);
    await other.until({ a: 1 });
    await watcher[Symbol.asyncDispose]();
    await expect(other.ended).rejects.toMatchObject({ reason: "store_unreachable", message: "the store is closed" });
  });
});
