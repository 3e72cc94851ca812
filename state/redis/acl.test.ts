import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock, systemRandom } from "#kernel";
import { openRedisRegistry } from "./registry.ts";
import { openRedisStore } from "./store.ts";
import { describeUnless } from "./testing/describe-unless.ts";
import { DURABLE, redisMissing, startRedisServer } from "./testing/redis-server.ts";

const HOUR_MS = 3_600_000;

describeUnless(redisMissing(), "a Redis user with the rights that docs/decisions/redis-store.md names", () => {
  it("can do everything that the store does", async () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/decisions/redis-store.md"), "utf8");
    const rights = /^~deltaplane:.*$/m
      .exec(page)![0]
      .split(" ")
      .filter((right) => right !== "+waitaof"); // Not every server has it.
    await using server = await startRedisServer([...DURABLE, "--user", "router", "on", ">secret", "resetchannels", ...rights]);
    await using store = await openRedisStore(`redis://router:secret@127.0.0.1:${server.port}`, { clock: systemClock });
    expect(store.weaknesses).toEqual([]);

    const put = await store.records.putIf("alias/a", 1, undefined);
    expect(await store.records.get("alias/a")).toMatchObject({ value: 1 });
    const stop = new AbortController();
    const watch = store.records.watch("", stop.signal)[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ value: 1 });
    const [removed] = await Promise.all([watch.next(), systemClock.after(50).then(() => store.records.removeIf("alias/a", put.version!))]);
    expect(removed.value).toMatchObject({ key: "alias/a", value: undefined });
    stop.abort();

    const draws = [{ meter: "tokens", amount: 1, limit: 10, windowMs: 1_000 }];
    const hold = { amount: 1n, budget: 10n, spent: { group: "spent", name: "ever" } };
    expect(await store.meters.take({ account: "acme", id: "r", draws, hold, lifeMs: HOUR_MS })).toMatchObject({ kind: "taken" });
    await store.meters.settle("acme", "r", {}, "stays");
    const counters = [{ group: "spent", name: "ever", amount: 1n }];
    const change = {
      book: "acme",
      basedOn: 0,
      lines: [{ text: "t", hash: "h" }],
      values: new Map([["k", "v"]]),
      counters,
      releases: ["r"],
    };
    expect(await store.journal.commit([change])).toMatchObject([{ kind: "committed" }]);
    expect(await store.journal.read([{ book: "acme", keys: ["k"] }])).toMatchObject([{ head: { position: 1 } }]);
    expect(await store.journal.lines("acme", 1, 1)).toHaveLength(1);
    expect(await store.journal.counters("acme", await store.journal.groups("acme"))).toEqual([new Map([["ever", 1n]])]);
    expect(await store.journal.books()).toEqual(["acme"]);
    expect(await store.meters.live("acme")).toEqual({ count: 0, held: 0n });

    expect(await store.leases.acquire("scheduler", "me", HOUR_MS)).toMatchObject({ kind: "held" });
    await store.leases.release("scheduler", "me");
    const question = { account: "acme", key: "k", digest: "d", holder: "me", termMs: HOUR_MS };
    expect(await store.answers.begin(question)).toEqual({ kind: "begun" });
    await store.answers.abandon("acme", "k", "me");
    await store.answers.begin(question);
    await store.answers.finish("acme", "k", "me", "42", HOUR_MS);
    expect(await store.answers.begin(question)).toEqual({ kind: "done", answer: "42" });

    const log = { info: () => undefined, warn: (_fields: object, what: string) => expect.unreachable(what), error: () => undefined };
    const deps = { clock: systemClock, random: systemRandom(), log };
    await using registry = await openRedisRegistry(`redis://router:secret@127.0.0.1:${server.port}`, deps);
    registry.announce({ kind: "router", name: "a", address: "10.0.0.1:1" });
    const over = new AbortController();
    for await (const peers of registry.discovery("router").watch(over.signal)) if (peers.length === 1) over.abort();
  });
});
