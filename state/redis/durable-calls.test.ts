import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { systemClock } from "#kernel";
import { openRedisStore } from "./store.ts";
import { describeUnless } from "./testing/describe-unless.ts";
import { rawCommand } from "./testing/raw-command.ts";
import { binary, redisMissing, startRedisServer } from "./testing/redis-server.ts";

const open = (url: string) => openRedisStore(url, { clock: systemClock });
const change = (book: string) => ({ book, basedOn: 0, lines: [{ text: "t", hash: "h" }], values: new Map(), counters: [], releases: [] });

/** Why WAITAOF cannot be tested here. */
function waitaofMissing(): string | undefined {
  const missing = redisMissing();
  if (missing !== undefined) return missing;
  const [, major, minor] = /v=(\d+)\.(\d+)/.exec(String(execFileSync(binary("redis-server"), ["--version"]))) ?? [];
  return Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 2) ? undefined : `Redis ${major}.${minor} has no WAITAOF`;
}

describeUnless(waitaofMissing(), "a server that syncs its disk later", () => {
  it("is asked to sync before a commit resolves: once for all that come together", async () => {
    await using server = await startRedisServer(["--appendonly", "yes", "--appendfsync", "everysec"]);
    await using store = await open(server.url);
    expect(store.weaknesses).toEqual([expect.stringMatching(/except for commits of the journal/)]);
    const books = Array.from({ length: 100 }, (_, book) => `book-${book}`);
    const outcomes = await Promise.all(books.map((book) => store.journal.commit([change(book)])));
    for (const [outcome] of outcomes) expect(outcome).toMatchObject({ kind: "committed" });
    const calls = /cmdstat_waitaof:calls=(\d+)/.exec(await rawCommand(server.port, "INFO", "commandstats"))?.[1];
    expect(Number(calls)).toBeGreaterThanOrEqual(1);
    expect(Number(calls)).toBeLessThanOrEqual(4);
    expect(await store.journal.books()).toHaveLength(100);
  });

  it("keeps what it acknowledged when it is killed, and what failed can be committed again", async () => {
    await using server = await startRedisServer(["--appendonly", "yes", "--appendfsync", "everysec"]);
    await using store = await open(server.url);
    const commit = store.journal.commit([change("acme")]);
    await systemClock.after(20);
    await server.kill();
    const [result] = await Promise.allSettled([commit]);
    if (result.status === "rejected") expect(result.reason).toMatchObject({ reason: "store_unreachable" });
    await server.start();
    const [page] = await store.journal.read([{ book: "acme", keys: [] }]);
    if (result.status === "fulfilled") expect(page!.head.position).toBe(1);
    const [outcome] = await store.journal.commit([change("acme")]);
    expect(outcome!.kind).toBe(page!.head.position === 0 ? "committed" : "conflict");
  });
});
