import { describe, expect, it } from "vitest";
import { asNodeId, type NodeView, type Snapshot, seededRandom, VirtualClock } from "#kernel";
import type { WatchSnapshotResponse } from "#proto";
import { SnapshotFeed } from "./snapshot-feed.ts";

function cluster() {
  const clock = new VirtualClock();
  let snapshot: Snapshot = { version: 1, nodes: new Map() };
  const feed = new SnapshotFeed({ clock, random: seededRandom(1) }, () => snapshot);
  const join = (name: string) => {
    const id = asNodeId(name);
    const view: NodeView = { id, address: `${name}:1`, state: "ready", epoch: "a", bases: new Map(), deltas: new Map(), reportedAt: 0 };
    snapshot = { version: snapshot.version + 1, nodes: new Map(snapshot.nodes).set(id, view) };
    feed.changed();
  };
  return { clock, feed, join };
}

/** Reads everything at once, with the time it came. */
function reader(feed: SnapshotFeed, clock: VirtualClock, signal: AbortSignal) {
  const heard: { at: number; version: number; nodes: string[] }[] = [];
  const reading = (async () => {
    for await (const { version, changed } of feed.watch(signal))
      heard.push({ at: clock.monotonic(), version, nodes: changed.map(({ id }) => id) });
  })();
  return { heard, reading };
}

describe("the snapshot feed", () => {
  it("sends everything at once, then changes together, at most 50 ms late, then a heartbeat each second", async () => {
    const { clock, feed, join } = cluster();
    join("n1");
    const stop = new AbortController();
    const { heard, reading } = reader(feed, clock, stop.signal);
    await clock.advance(100);
    join("n2");
    await clock.advance(30);
    join("n3");
    await clock.advance(2000);
    stop.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    expect(heard.slice(0, 2)).toEqual([
      { at: 0, version: 2, nodes: ["n1"] },
      { at: 150, version: 4, nodes: ["n2", "n3"] },
    ]);
    expect(heard.length).toBeGreaterThanOrEqual(3);
    for (const { version, nodes } of heard.slice(2)) expect([version, nodes]).toEqual([4, []]);
    expect(feed.watchers).toBe(0);
  });

  it("gives a watcher that was slow one newer difference, however much happened meanwhile", async () => {
    const { clock, feed, join } = cluster();
    const stop = new AbortController();
    const watch = feed.watch(stop.signal)[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ full: true, version: 1 });
    for (let index = 0; index < 500; index++) join(`n${index % 5}`);
    const next = watch.next();
    await clock.advance(50);
    const message = (await next).value as WatchSnapshotResponse;
    expect(message).toMatchObject({ full: false, version: 501 });
    expect(message.changed).toHaveLength(5);
    stop.abort();
    await expect(watch.next()).rejects.toBe(stop.signal.reason);
  });

  it("ends with shutting_down when it is closed", async () => {
    const { clock, feed } = cluster();
    const { reading } = reader(feed, clock, new AbortController().signal);
    const ended = expect(reading).rejects.toMatchObject({ reason: "shutting_down" });
    await clock.advance(0);
    feed.close();
    await clock.advance(100);
    await ended;
  });
});

it("tells nobody of a cluster that has not yet reported", async () => {
  const clock = new VirtualClock();
  const opened = new AbortController();
  const snapshot: Snapshot = { version: 1, nodes: new Map() };
  const feed = new SnapshotFeed({ clock, random: seededRandom(1) }, () => snapshot, opened.signal);
  const stop = new AbortController();
  const { heard, reading } = reader(feed, clock, stop.signal);
  await clock.advance(2_000);
  expect(heard).toEqual([]);
  opened.abort("settled");
  await clock.advance(1);
  expect(heard).toMatchObject([{ version: 1 }]);
  const ended = expect(reading).rejects.toThrow();
  stop.abort();
  await ended;
});
