import { describe, expect, test } from "vitest";
import { asTenantId, Fault, SECOND, TURN_SPARE, VirtualClock } from "#kernel";
import { type Ahead, SLOT_WAIT_MS_MAX } from "#scheduler";
import { BASE_DIGEST, nodeView } from "../testing/cluster-of.ts";
import { type Attempt, FairQueue, QUEUE_LIMITS, type QueueLimits, type Turn } from "./fair-queue.ts";
import type { PlacementAsk } from "./placement.ts";

const never = new AbortController().signal;
const NODE = nodeView("a");

function askOf(tenant: string, maxTokens = 10): PlacementAsk {
  return {
    ...{ tenantId: asTenantId(tenant), baseDigest: BASE_DIGEST, deltaDigest: undefined },
    ...{ promptTokensEstimate: 0, maxTokens, rows: 1 },
  };
}

/** A queue before a number of rows. */
function queueBefore(rows: number, limits: Partial<QueueLimits> = {}) {
  const clock = new VirtualClock();
  const waits: number[] = [];
  const state = { rows, attempts: 0, instead: undefined as ((ask: PlacementAsk, ahead: Ahead) => Attempt | undefined) | undefined };
  const tryPlace = (ask: PlacementAsk, ahead: Ahead): Attempt => {
    state.attempts++;
    const instead = state.instead?.(ask, ahead);
    if (instead) return instead;
    if (state.rows === 0) return { kind: "full" };
    state.rows--;
    const release = () => {
      state.rows++;
      queue.wake(BASE_DIGEST);
    };
    return { kind: "placed", placement: { node: NODE, deltaSources: [], answered: () => undefined, [Symbol.dispose]: release } };
  };
  const queue = new FairQueue({ clock, tryPlace, onWaited: (waitMs) => waits.push(waitMs) }, { ...QUEUE_LIMITS, ...limits });
  return { clock, queue, waits, state };
}

function end(turn: Turn): void {
  turn[Symbol.dispose]();
  turn.placement[Symbol.dispose]();
}

/** What became of a request: its turn, or the reason why not. */
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

describe("with room", () => {
  test("a request has its node at once, without a promise", () => {
    const { queue, waits } = queueBefore(1);
    expect(queue.enter(askOf("a"), never)).not.toBeInstanceOf(Promise);
    expect(waits).toEqual([0]);
    expect(queue.depth).toBe(0);
  });

  test("nodes that could never serve it are told at once", () => {
    const { queue, state } = queueBefore(1);
    state.instead = () => ({ kind: "none", fault: new Fault("no_ready_node", "none") });
    expect(() => queue.enter(askOf("a"), never)).toThrow(expect.objectContaining({ reason: "no_ready_node" }));
    expect(queue.depth).toBe(0);
  });
});

describe("without room", () => {
  test("requests wait; each row that ends goes to the tenant that was given least, and within it to who came first", async () => {
    const { clock, queue, waits } = queueBefore(1);
    const first = queue.enter(askOf("hot"), never) as Turn;
    first.produced(100);
    const order: string[] = [];
    const asks = ["hot-1", "hot-2", "light-1", "hot-3", "light-2"];
    for (const name of asks) {
      void (async () => {
        const turn = await queue.enter(askOf(name.split("-")[0]!), never);
        order.push(name);
        turn.produced(10);
        await clock.after(50);
        end(turn);
      })();
    }
    await clock.advance(10);
    expect(queue.depth).toBe(5);
    end(first);
    await clock.advance(SECOND);
    expect(order).toEqual(["light-1", "hot-1", "light-2", "hot-2", "hot-3"]);
    expect(waits).toEqual([0, 10, 60, 110, 160, 210]);
    expect(queue.depth).toBe(0);
  });

  test("who has less than its share does not wait behind a tenant that does not read what it has", async () => {
    const { clock, queue, state } = queueBefore(0);
    const full: Attempt = { kind: "full" };
    const placement = { node: NODE, deltaSources: [], answered: () => undefined, [Symbol.dispose]: () => undefined };
    // A node takes rows back for those below their share, and nobody else gets one.
    state.instead = (_, ahead) => (ahead === "below_share" || state.rows > 0 ? { kind: "placed", placement } : full);
    state.rows = 4;
    const stalled = [1, 2, 3, 4].map(() => queue.enter(askOf("deaf"), never) as Turn);
    const other = queue.enter(askOf("other"), never) as Turn;
    state.rows = 0;
    void entered(queue, askOf("deaf"));
    other.produced(TURN_SPARE); // By now it was given more than who does not read, beyond what is spared.
    end(other);
    const next = entered(queue, askOf("other"));
    await clock.advance(900);
    expect(next.turn).toBeUndefined();
    for (const turn of stalled) turn.produced(1); // As long as it reads, its turn is its turn.
    await clock.advance(200);
    expect(next.turn).toBeUndefined();
    await clock.advance(1000);
    expect(next.turn).toBeDefined();
    expect(queue.depth).toBe(1);
  });

  test("who leaves is never started, and the next one is not held up", async () => {
    const { clock, queue } = queueBefore(1);
    const running = queue.enter(askOf("a"), never) as Turn;
    const leaving = new AbortController();
    const left = entered(queue, askOf("a"), leaving.signal);
    const next = entered(queue, askOf("a"));
    await clock.advance(1);
    const gone = new Fault("client_gone", "left");
    leaving.abort(gone);
    await clock.advance(1);
    expect(left.refused).toBe(gone);
    expect(queue.depth).toBe(1);
    end(running);
    await clock.advance(1);
    expect(next.turn).toBeDefined();
    expect(left.turn).toBeUndefined();
  });

  test("nobody enters with a signal that has aborted", () => {
    const { queue, state } = queueBefore(1);
    expect(() => queue.enter(askOf("a"), AbortSignal.abort(new Fault("client_gone", "left")))).toThrow(/left/);
    expect(state.attempts).toBe(0);
  });

  test("a node that has room for others only holds up nobody else", async () => {
    const { clock, queue, state } = queueBefore(0);
    const wide = entered(queue, askOf("wide"));
    const narrow = entered(queue, askOf("narrow"));
    await clock.advance(1);
    state.rows = 1;
    state.instead = ({ tenantId }) => (tenantId === asTenantId("wide") ? { kind: "unfit" } : undefined);
    queue.wakeAll();
    await clock.advance(1);
    expect(narrow.turn).toBeDefined();
    expect(wide).toEqual({});
    state.instead = undefined;
    state.rows = 1;
    await clock.advance(100); // Nobody said that there is room: it is looked for.
    expect(wide.turn).toBeDefined();
  });

  test("who needs a slot waits here, then where the slot will be; meanwhile whoever comes may find one", async () => {
    const { clock, queue, state } = queueBefore(2);
    state.instead = ({ tenantId, needsSlot }) => (tenantId === asTenantId("large") && needsSlot ? { kind: "unfit" } : undefined);
    const large = entered(queue, askOf("large"));
    await clock.advance(1);
    const small = entered(queue, askOf("small"));
    await clock.advance(1);
    expect(small.turn).toBeDefined();
    await clock.advance(SLOT_WAIT_MS_MAX - SECOND);
    expect(large).toEqual({});
    await clock.advance(2 * SECOND);
    expect(large.turn).toBeDefined();
  });

  test("nodes that all went away are waited for, but not for ever", async () => {
    const { clock, queue, state } = queueBefore(0, { waitMsMax: 5 * SECOND });
    const waiting = entered(queue, askOf("a"));
    state.instead = () => ({ kind: "none", fault: new Fault("no_ready_node", "none") });
    await clock.advance(4 * SECOND);
    expect(waiting).toEqual({});
    await clock.advance(2 * SECOND);
    expect(waiting.refused).toMatchObject({ reason: "no_ready_node" });
    expect(queue.depth).toBe(0);
  });

  test("while no node is left for those who wait, who comes is told so at once; when one comes up, those who waited go first", async () => {
    const { clock, queue, state } = queueBefore(0, { depthPerTenantMax: 1 });
    const waiting = entered(queue, askOf("a"));
    state.instead = () => ({ kind: "none", asleep: true, fault: new Fault("no_ready_node", "none") });
    await clock.advance(SECOND);
    for (const tenant of ["a", "b"])
      expect(() => queue.enter(askOf(tenant), never)).toThrow(expect.objectContaining({ reason: "no_ready_node" }));
    Object.assign(state, { instead: undefined, rows: 1 });
    const late = entered(queue, askOf("b"));
    await clock.advance(1);
    expect(waiting.turn).toBeDefined();
    expect(late).toEqual({});
    end(waiting.turn!);
    await clock.advance(1);
    expect(late.turn).toBeDefined();
  });

  test("when a node comes up that is full, who comes first after it is bound by the limits like everyone", async () => {
    const { clock, queue, state } = queueBefore(0, { depthPerTenantMax: 1 });
    const waiting = entered(queue, askOf("a"));
    state.instead = () => ({ kind: "none", asleep: true, fault: new Fault("no_ready_node", "none") });
    await clock.advance(SECOND);
    state.instead = undefined;
    expect(() => queue.enter(askOf("a"), never)).toThrow(expect.objectContaining({ reason: "queue_full" }));
    expect(queue.depth).toBe(1);
    expect(waiting).toEqual({});
  });

  test("a drain refuses those who wait and those who come", async () => {
    const { clock, queue } = queueBefore(0);
    const waiting = entered(queue, askOf("a"));
    await clock.advance(1);
    queue.close();
    await clock.advance(1);
    expect(waiting.refused).toMatchObject({ reason: "shutting_down" });
    expect(() => queue.enter(askOf("a"), never)).toThrow(expect.objectContaining({ reason: "shutting_down" }));
  });
});

describe("too much", () => {
  test("of one tenant is refused, of another not", async () => {
    const { clock, queue } = queueBefore(0, { depthPerTenantMax: 2 });
    for (let index = 0; index < 2; index++) entered(queue, askOf("a"));
    expect(() => queue.enter(askOf("a"), never)).toThrow(expect.objectContaining({ reason: "queue_full" }));
    expect(entered(queue, askOf("b"))).toEqual({});
    await clock.advance(1);
    expect(queue.depth).toBe(3);
    queue.close();
  });

  test("in all takes from the longest line, the last to come first; who has the longest itself is refused", async () => {
    const { clock, queue } = queueBefore(0, { depthMax: 4 });
    const hot = [0, 1, 2, 3].map(() => entered(queue, askOf("hot")));
    expect(() => queue.enter(askOf("hot"), never)).toThrow(expect.objectContaining({ reason: "queue_full" }));
    const light = entered(queue, askOf("light"));
    await clock.advance(1);
    expect(hot.map(({ refused }) => refused !== undefined)).toEqual([false, false, false, true]);
    expect(hot[3]!.refused).toMatchObject({ reason: "queue_full", retry: { kind: "after" } });
    expect(light).toEqual({});
    expect(queue.depth).toBe(4);
    queue.close();
  });

  test("to be served in time, as fast as it goes, is refused with the time to come again; not who has little waiting", async () => {
    const { clock, queue } = queueBefore(1, { expectedWaitMsMax: 2 * SECOND });
    /** One request after the other, 100 ms each. */
    const serve = async (tenant: string) => {
      const turn = await queue.enter(askOf(tenant), never);
      await clock.after(100);
      end(turn);
    };
    const refusals: unknown[] = [];
    const ask = (tenant: string) => void serve(tenant).catch((error: unknown) => refusals.push(error));
    for (let index = 0; index < 15; index++) ask("hot");
    await clock.advance(SECOND);
    expect(refusals).toEqual([]);
    for (let index = 0; index < 30; index++) ask("hot");
    await clock.advance(0);
    expect(queue.depth).toBeGreaterThanOrEqual(19);
    expect(queue.depth).toBeLessThanOrEqual(22);
    for (const refusal of refusals)
      expect(refusal).toMatchObject({ reason: "queue_full", retry: { kind: "after", waitMs: expect.any(Number) } });
    const before = refusals.length;
    expect(before).toBeGreaterThan(5);
    ask("light");
    await clock.advance(0);
    expect(refusals.length).toBe(before);
    // A client that gives up sooner is told sooner.
    const deadlineAt = clock.now() + 500;
    expect(() => queue.check(askOf("hot"), deadlineAt)).toThrow(expect.objectContaining({ reason: "queue_full" }));
    expect(() => queue.check(askOf("other"), deadlineAt)).not.toThrow();
    await clock.advance(5 * SECOND);
    expect(queue.depth).toBe(0);
  });

  test("is told without a look at any node", async () => {
    const { clock, queue, state } = queueBefore(0, { depthPerTenantMax: 1 });
    entered(queue, askOf("a"));
    const attempts = state.attempts;
    for (let index = 0; index < 100; index++) expect(() => queue.check(askOf("a"))).toThrow();
    expect(state.attempts).toBe(attempts);
    queue.close();
    await clock.advance(SECOND);
  });
});

test("what a request was given counts against its tenant only, with its prompt as it turned out to be", async () => {
  const { clock, queue } = queueBefore(2);
  const long = queue.enter({ ...askOf("long"), promptTokensEstimate: 10 }, never) as Turn;
  const short = queue.enter({ ...askOf("short"), promptTokensEstimate: 100 }, never) as Turn;
  long.measured(400);
  long.measured(4000); // Only the first counts.
  short.measured(20);
  const waiting = ["short", "long"].map((tenant) => entered(queue, askOf(tenant)));
  await clock.advance(1);
  end(short);
  await clock.advance(1);
  expect(waiting.map(({ turn }) => turn !== undefined)).toEqual([true, false]);
  end(long);
  await clock.advance(1);
  expect(waiting.every(({ turn }) => turn !== undefined)).toBe(true);
});
