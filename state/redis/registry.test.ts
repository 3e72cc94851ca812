import { afterEach, expect, it } from "vitest";
import { type Clock, type Log, type Millis, SECOND, systemClock, systemRandom, VirtualClock } from "#kernel";
import { type Member, openRedisRegistry, type Registry } from "./registry.ts";
import { describeWithRedis } from "./testing/describe-with-redis.ts";
import { rawCommand } from "./testing/raw-command.ts";

const TERM_MS = 10 * SECOND;
const A: Member = { kind: "router", name: "a", address: "10.0.0.1:1" };
const B: Member = { kind: "router", name: "b", address: "10.0.0.2:1" };

describeWithRedis("a registry in Redis", (server) => {
  let prefixes = 0;
  let stop = new AbortController();
  /** Those of them that beat are heard again and again. */
  const opened = new Map<Registry, "beats" | "hangs">();
  const watching: Promise<void>[] = [];
  afterEach(async () => {
    stop.abort();
    stop = new AbortController();
    await Promise.all(watching.splice(0));
    await Promise.all([...opened.keys()].map(close));
  });
  const close = async (registry: Registry) => {
    opened.delete(registry);
    await registry[Symbol.asyncDispose]();
  };

  /** A registry of its own, by a time that moves when a test says so. */
  function place() {
    const prefix = `test-${++prefixes}:`;
    const time = new VirtualClock();
    const complaints: string[] = [];
    const log: Log = { info: () => undefined, warn: (_fields, what) => complaints.push(what), error: () => undefined };
    const open = async (clock: Clock, member?: Member) => {
      const options = { prefix, time: () => time.now(), termMs: TERM_MS, beatMs: 20, callMs: 500, bridgeMs: 0 };
      const registry = await openRedisRegistry(server().url, { clock, random: systemRandom(), log }, options);
      opened.set(registry, clock === systemClock ? "beats" : "hangs");
      if (member) registry.announce(member);
      return registry;
    };
    return {
      complaints,
      key: `${prefix}{registry}:members`,
      /** Somebody who beats. */
      open: (member?: Member) => open(systemClock, member),
      /** Somebody who speaks once and then hangs, as a process does that was stopped or killed. */
      hung: (member: Member) => open(new VirtualClock(), member),
      /** Everybody who beats is heard several times in each half term. */
      async pass(ms: Millis) {
        for (let passedMs = 0; passedMs < ms; passedMs += TERM_MS / 5) {
          await time.advance(TERM_MS / 5);
          const at = systemClock.monotonic();
          for (const [registry, does] of opened)
            while (does === "beats" && systemClock.monotonic() - registry.ageMs()! <= at) await systemClock.after(5);
        }
      },
      /** Nobody is heard meanwhile. */
      jump: (ms: Millis) => time.advance(ms),
    };
  }

  /** All news that a watcher was told. */
  function watch(registry: Registry, kind = "router"): string[] {
    const news: string[] = [];
    const reading = async () => {
      for await (const peers of registry.discovery(kind).watch(stop.signal)) news.push(peers.map(({ address }) => address).join(" "));
    };
    watching.push(reading());
    return news;
  }
  const told = (news: readonly string[], peers: string) => expect.poll(() => news.at(-1), { timeout: 5_000, interval: 5 }).toBe(peers);

  it("finds those of one kind, and forgets within a term who says nothing any more", async () => {
    const { open, hung, pass } = place();
    const news = watch(await open(A));
    const schedulers = watch(await open({ kind: "scheduler", name: "a", address: "10.0.0.3:1" }), "scheduler");
    await hung(B);
    await told(news, "10.0.0.1:1 10.0.0.2:1");
    await told(schedulers, "10.0.0.3:1");
    await pass(2 * TERM_MS);
    await told(news, "10.0.0.1:1");
  });

  it("says nobody gone for a whole term after it was away itself", async () => {
    const { open, hung, jump, pass } = place();
    const news = watch(await open(A));
    await hung(B);
    await told(news, "10.0.0.1:1 10.0.0.2:1");
    await pass(2 * TERM_MS - TERM_MS / 2); // B is over; and the registry is old enough to say so.
    await told(news, "10.0.0.1:1");
    await open(B);
    await told(news, "10.0.0.1:1 10.0.0.2:1");
    const before = news.length;
    await jump(100 * TERM_MS);
    await pass(2 * TERM_MS);
    expect(news.slice(before)).toEqual([]);
  });

  it("that was emptied loses nobody", async () => {
    const { open, key, pass } = place();
    const news = watch(await open(A));
    await open(B);
    await told(news, "10.0.0.1:1 10.0.0.2:1");
    const before = news.length;
    await rawCommand(server().port, "DEL", key);
    await pass(2 * TERM_MS);
    expect(news.slice(before)).toEqual([]);
  });

  it("knows of two generations of one name the later one: nothing that the earlier one does brings it back", async () => {
    const { open, complaints, pass } = place();
    const news = watch(await open(A));
    const earlier = await open(B);
    await told(news, "10.0.0.1:1 10.0.0.2:1");
    const later = await open({ ...B, address: "10.0.0.2:2" });
    await told(news, "10.0.0.1:1 10.0.0.2:2");
    await pass(TERM_MS); // Both beat.
    expect(complaints).toEqual([expect.stringContaining("another process has taken")]);
    await close(earlier);
    await pass(TERM_MS);
    expect(news.slice(-2)).toEqual(["10.0.0.1:1 10.0.0.2:1", "10.0.0.1:1 10.0.0.2:2"]);
    await close(later);
    await told(news, "10.0.0.1:1");
  });

  it("needs not be there at the start, and says since when it was not heard", async () => {
    const port = server().port;
    await server().kill();
    const { open, complaints } = place();
    const one = await open(A);
    const news = watch(one);
    await expect.poll(() => complaints).toHaveLength(1);
    expect([one.ageMs(), news]).toEqual([undefined, []]);
    await server().start();
    expect(server().port).toBe(port);
    await told(news, "10.0.0.1:1");
    expect(one.ageMs()).toBeLessThan(5_000);
  });

  it("tells the log of every outage, once, also of one who only looks", async () => {
    const { open, complaints } = place();
    const looking = await open();
    const outages = () => complaints.filter((what) => what.includes("cannot be asked")).length;
    for (const count of [1, 2]) {
      const at = systemClock.monotonic();
      await expect.poll(() => systemClock.monotonic() - looking.ageMs()!, { timeout: 5_000 }).toBeGreaterThan(at);
      await server().kill();
      await expect.poll(outages, { timeout: 5_000 }).toBe(count);
      await systemClock.after(100); // Five beats, each of which fails.
      expect(outages()).toBe(count);
      await server().start();
    }
  });

  it("that holds something else leaves everybody with what was known, and says so once", async () => {
    const { open, key, complaints } = place();
    const news = watch(await open(A));
    await told(news, "10.0.0.1:1");
    await rawCommand(server().port, "SET", key, "nonsense");
    await expect.poll(() => complaints).toHaveLength(1);
    await rawCommand(server().port, "DEL", key);
    await systemClock.after(100);
    expect(complaints).toHaveLength(1);
    expect(news).toEqual(["10.0.0.1:1"]);
  });

  it("passes over what is no member, and takes a thousand", async () => {
    const { open, key, complaints } = place();
    const foreign = Array.from({ length: 1_000 }, (_, index) => [`other m-${index}`, "1 99999999999999 0 g 10.1.0.0:1"]).flat();
    await rawCommand(server().port, "HSET", key, "router bad", "no member", ...foreign);
    const news = watch(await open(A));
    await expect.poll(() => complaints).toEqual([expect.stringContaining("1000 members")]);
    await told(news, "");
    await rawCommand(server().port, "HDEL", key, "other m-0", "other m-1", "other m-2", "other m-3");
    await told(news, "10.0.0.1:1");
  });

  it("takes only what can be found again", async () => {
    const registry = await place().open();
    for (const [field, member] of [
      ["name", { ...A, name: "two words" }],
      ["kind", { ...A, kind: "" }],
      ["listen", { ...A, address: "no-port" }],
    ] as const)
      expect(() => registry.announce(member)).toThrow(expect.objectContaining({ reason: "parameter_invalid", detail: { field } }));
    const deps = { clock: systemClock, random: systemRandom(), log: { info: () => {}, warn: () => {}, error: () => {} } };
    await expect(openRedisRegistry("http://x", deps)).rejects.toMatchObject({ detail: { field: "registry" } });
  });
});
