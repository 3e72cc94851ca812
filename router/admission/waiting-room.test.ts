import { describe, expect, test } from "vitest";
import { asTenantId, Fault, MINUTE, SECOND, VirtualClock } from "#kernel";
import { BASE_DIGEST, BASE_NAME, nodeView } from "../testing/cluster-of.ts";
import { type Attempt, FairQueue, QUEUE_LIMITS, type Turn } from "./fair-queue.ts";
import type { PlacementAsk } from "./placement.ts";
import { WAITING_ROOM_LIMITS, WaitingRoom, type WaitingRoomLimits } from "./waiting-room.ts";

const never = new AbortController().signal;
const NODE = nodeView("a");
const NOBODY: Attempt = { kind: "none", fault: new Fault("no_ready_node", "no node can serve this base now"), asleep: true };

function askOf(tenant: string, change: Partial<PlacementAsk> = {}): PlacementAsk {
  return {
    ...{ tenantId: asTenantId(tenant), baseDigest: BASE_DIGEST, baseName: BASE_NAME, deltaDigest: undefined },
    ...{ promptTokensEstimate: 10, maxTokens: 10, rows: 1, ...change },
  };
}

/** A base without a node, which the test gives rows. */
function asleep(limits: Partial<WaitingRoomLimits> = {}, bases: "all" | readonly string[] = [BASE_NAME]) {
  const clock = new VirtualClock();
  const state = { rows: undefined as number | undefined };
  const left: string[] = [];
  const room = new WaitingRoom({ clock, onLeft: (end) => left.push(end) }, { bases, limits: { ...WAITING_ROOM_LIMITS, ...limits } });
  const tryPlace = (): Attempt => {
    if (state.rows === undefined) return NOBODY;
    if (state.rows === 0) return { kind: "full" };
    state.rows--;
    return {
      kind: "placed",
      placement: { node: NODE, deltaSources: [], answered: () => undefined, [Symbol.dispose]: () => void state.rows!++ },
    };
  };
  const queue = new FairQueue({ clock, tryPlace, onWaited: () => undefined, room }, QUEUE_LIMITS);
  return { clock, queue, room, state, left };
}

/** What became of a request. */
function entered(queue: FairQueue, ask: PlacementAsk, signal = never): { turn?: Turn; refused?: unknown } {
  const state: { turn?: Turn; refused?: unknown } = {};
  Promise.try(() => queue.enter(ask, signal)).then(
    (turn) => {
      state.turn = turn;
    },
    (error: unknown) => {
      state.refused = error;
    },
  );
  return state;
}

function end({ turn }: { turn?: Turn }): void {
  turn?.[Symbol.dispose]();
  turn?.placement[Symbol.dispose]();
}

describe("a base without a node", () => {
  test("that may be woken keeps its requests, and serves them in turn when a node comes up", async () => {
    const { clock, queue, room, state, left } = asleep();
    const asks = ["hot", "hot", "hot", "light"].map((tenant) => entered(queue, askOf(tenant)));
    await clock.advance(2 * MINUTE);
    expect(asks).toEqual([{}, {}, {}, {}]);
    expect(room.waiting()).toEqual(new Map([[BASE_NAME, 4]]));
    expect(room.nodesWanted()).toEqual(new Map([[BASE_NAME, 1]]));
    state.rows = 2;
    queue.wakeAll();
    await clock.advance(0);
    expect(asks.map(({ turn }) => turn !== undefined)).toEqual([true, false, false, true]);
    expect([room.waiting().get(BASE_NAME), left]).toEqual([2, ["served", "served"]]);
    end(asks[0]!);
    end(asks[3]!);
    queue.wakeAll();
    await clock.advance(0);
    expect(asks.every(({ turn }) => turn !== undefined)).toBe(true);
    expect([room.waiting().get(BASE_NAME), room.promptBytes]).toEqual([0, 0]);
  });

  test("that may not be woken refuses at once, as before", () => {
    const { queue, room } = asleep({}, ["another-base"]);
    expect(() => queue.enter(askOf("a"), never)).toThrow(expect.objectContaining({ reason: "no_ready_node" }));
    expect(room.nodesWanted()).toEqual(new Map([["another-base", 0]]));
  });

  test.each<[string, Partial<WaitingRoomLimits>, readonly PlacementAsk[]]>([
    ["requests", { requestsMax: 2 }, [askOf("a"), askOf("b"), askOf("c")]],
    ["one tenant's requests", { requestsPerTenantMax: 2 }, [askOf("a"), askOf("a"), askOf("a")]],
    [
      "bytes",
      { promptBytesMax: 100_000 },
      [askOf("a"), askOf("b", { promptTokensEstimate: 8_000 }), askOf("c", { promptTokensEstimate: 8_000 })],
    ],
  ])("has room for so many %s, and tells the next when to come again", async (_, limits, asks) => {
    const { clock, queue, room } = asleep(limits);
    const all = asks.map((ask) => entered(queue, ask));
    await clock.advance(0);
    expect(all.map(({ refused }) => refused !== undefined)).toEqual([false, false, true]);
    expect(all[2]!.refused).toMatchObject({ reason: "queue_full", retry: { kind: "after", waitMs: 10 * SECOND } });
    expect(() => queue.check(asks[2]!)).toThrow(expect.objectContaining({ reason: "queue_full" }));
    expect(room.waiting().get(BASE_NAME)).toBe(2);
  });

  test("lets nobody wait longer than its limit, and then says when to come again", async () => {
    const { clock, queue, left } = asleep({ waitMsMax: MINUTE });
    const waiting = entered(queue, askOf("a"));
    await clock.advance(MINUTE - SECOND);
    expect(waiting).toEqual({});
    await clock.advance(2 * SECOND);
    expect(waiting.refused).toMatchObject({ reason: "no_ready_node", retry: { kind: "after", waitMs: 10 * SECOND } });
    expect(left).toEqual(["shed"]);
  });

  test("forgets who leaves", async () => {
    const { clock, queue, room, left } = asleep();
    const stop = new AbortController();
    const waiting = entered(queue, askOf("a"), stop.signal);
    stop.abort(new Error("enough"));
    await clock.advance(0);
    expect(waiting.refused).toMatchObject({ message: "enough" });
    expect([room.waiting().get(BASE_NAME), room.promptBytes, left]).toEqual([0, 0, ["gone"]]);
  });
});

describe("a base that has just woken", () => {
  test("does not send away who waited long for it, and begins to measure anew how fast it drains", async () => {
    const { clock, queue, state } = asleep();
    const asks = Array.from({ length: 4 }, () => entered(queue, askOf("a")));
    await clock.advance(4 * MINUTE);
    state.rows = 1;
    queue.wakeAll();
    await clock.advance(SECOND);
    expect(asks.map(({ refused }) => refused)).toEqual([undefined, undefined, undefined, undefined]);
    expect(() => queue.check(askOf("b"))).not.toThrow();
    await clock.advance(QUEUE_LIMITS.waitMsMax);
    expect(asks[1]!.refused, "a row that never ends is waited for as long as ever").toMatchObject({ reason: "queue_full" });
  });

  test("is wanted until its cool-down after the last request has ended", async () => {
    const { clock, queue, room, state } = asleep();
    const wanted = () => room.nodesWanted().get(BASE_NAME);
    expect(wanted()).toBe(0);
    state.rows = 1;
    const served = entered(queue, askOf("a"));
    await clock.advance(10 * MINUTE);
    expect(wanted(), "it still runs").toBe(1);
    end(served);
    await clock.advance(5 * MINUTE - SECOND);
    expect(wanted()).toBe(1);
    await clock.advance(2 * SECOND);
    expect(wanted()).toBe(0);
  });
});
