import { describe, expect, test } from "vitest";
import { asNodeId, type Clock, Fault, type Millis, type NodeId, SECOND, seededRandom, TOKEN_WEIGHTS, toFault, VirtualClock } from "#kernel";
import { Sampling } from "#proto";
import type { Principal } from "../contract.ts";
import { nodeView, snapshotOf } from "../testing/cluster-of.ts";
import { type CoreUnderTest, coreOver, generateRequest } from "../testing/core-under-test.ts";
import { type NodeShape, type SimulatedNode, simulatedNode } from "../testing/simulated-node.ts";
import { QUEUE_LIMITS } from "./fair-queue.ts";

const ROWS = 16;
const NODES = ["a", "b"];

/** Two nodes of sixteen rows, on a clock that moves only when told to. */
function simulatedCluster(shape: Partial<NodeShape> = {}, queueLimits = QUEUE_LIMITS) {
  const clock = new VirtualClock();
  const nodes = new Map<NodeId, SimulatedNode>(
    NODES.map((id) => [asNodeId(id), simulatedNode(clock, { rows: ROWS, firstTokenMs: 100, nextTokenMs: 10, ...shape })]),
  );
  const under = coreOver(nodes, { clock, queueLimits });
  under.cluster.set(snapshotOf(NODES.map((id) => nodeView(id, { load: { rowsMax: ROWS, queueDepthMax: 256 } }))));
  return { clock, nodes, under };
}

interface Seen {
  readonly firstTokens: { readonly askedAt: Millis; readonly waitMs: Millis }[];
  readonly refusedAfterMs: Millis[];
  readonly refusals: Fault[];
  completedTokens: number;
}

interface Load {
  readonly principal: Principal;
  readonly promptTokens: number;
  readonly maxTokens: number;
  /** How far the length of a text may lie from `maxTokens`, either way. */
  readonly spread?: number;
  /** From one request to the next, whatever became of it. */
  readonly everyMs: Millis;
  readonly firstAtMs?: Millis;
}

function requestOf({ promptTokens, maxTokens }: Pick<Load, "promptTokens" | "maxTokens">) {
  const ids = Array.from({ length: promptTokens }, (_, index) => index);
  return generateRequest({}, { prompt: { kind: { $case: "tokens", value: { ids } } }, sampling: { ...Sampling.create(), maxTokens } });
}

/** Asks, as often as the load says, for `durationMs`; what is under way then is given up. */
function offer(under: CoreUnderTest, clock: Clock, load: Load, durationMs: Millis): Seen {
  const seen: Seen = { firstTokens: [], refusedAfterMs: [], refusals: [], completedTokens: 0 };
  const over = new AbortController();
  const random = seededRandom(load.firstAtMs ?? 0);
  const ask = async () => {
    const askedAt = clock.monotonic();
    const maxTokens = load.maxTokens + (load.spread ? random.below(2 * load.spread + 1) - load.spread : 0);
    try {
      let tokens = 0;
      for await (const piece of under.core.generate(load.principal, requestOf({ ...load, maxTokens }), over.signal)) {
        if (tokens === 0) seen.firstTokens.push({ askedAt, waitMs: clock.monotonic() - askedAt });
        tokens += piece.tokenIds.length;
      }
      seen.completedTokens += tokens;
    } catch (error) {
      if (over.signal.aborted) return;
      seen.refusals.push(toFault(error));
      seen.refusedAfterMs.push(clock.monotonic() - askedAt);
    }
  };
  void (async () => {
    await clock.after(load.firstAtMs ?? 0);
    for (const startedAt = clock.monotonic(); clock.monotonic() - startedAt < durationMs; await clock.after(load.everyMs)) void ask();
    over.abort(new Fault("client_gone", "the test is over"));
  })();
  return seen;
}

function quantile(values: readonly number[], share: number): number {
  return [...values].sort((one, other) => one - other)[Math.ceil(values.length * share) - 1]!;
}

function jain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  return sum ** 2 / (values.length * values.reduce((total, value) => total + value ** 2, 0));
}

describe("one hot tenant at a hundred times the rate of nine light ones", () => {
  const DURATION: Millis = 6 * SECOND;
  /** Until the router has seen that they compete, the hot tenant's requests may stand before the rows. */
  const WARM_UP: Millis = SECOND;

  /** The light tenants' times to first token, all together. */
  async function lightTimes(withHot: boolean): Promise<{ readonly times: readonly number[]; readonly refused: number }> {
    const { clock, under } = simulatedCluster();
    const light = Array.from({ length: 9 }, (_, index) =>
      offer(
        under,
        clock,
        {
          principal: under.tenant(`light-${index}`),
          promptTokens: 8,
          maxTokens: 20,
          spread: 10,
          everyMs: 250,
          firstAtMs: 200 + 27 * index,
        },
        DURATION,
      ),
    );
    if (withHot)
      offer(under, clock, { principal: under.tenant("hot"), promptTokens: 8, maxTokens: 20, spread: 10, everyMs: 2.5 }, DURATION);
    await clock.advance(DURATION + SECOND);
    const times = light.flatMap((seen) => seen.firstTokens.filter(({ askedAt }) => askedAt >= WARM_UP).map(({ waitMs }) => waitMs));
    return { times, refused: light.flatMap((seen) => seen.refusals).length };
  }

  test("costs them at most half of their time to first token on top, and none of them is refused", async () => {
    const solo = await lightTimes(false);
    const beside = await lightTimes(true);
    expect(beside.times.length).toBe(solo.times.length);
    expect(beside.refused).toBe(0);
    expect(quantile(beside.times, 0.99)).toBeLessThanOrEqual(1.5 * quantile(solo.times, 0.99));
  });
});

describe("tenants that are backlogged all the time, whatever they ask", () => {
  test("are given the same, within the counter's bound", async () => {
    const served = new Map<string, number>();
    const onServed = (tenantId: string, input: number, output: number) =>
      served.set(tenantId, (served.get(tenantId) ?? 0) + input * TOKEN_WEIGHTS.input + output * TOKEN_WEIGHTS.output);
    const { clock, under } = simulatedCluster({ onServed });
    const shapes = [
      { promptTokens: 4, maxTokens: 40, everyMs: 20 },
      { promptTokens: 200, maxTokens: 10, everyMs: 20 },
      { promptTokens: 16, maxTokens: 4, everyMs: 4 },
      { promptTokens: 60, maxTokens: 60, everyMs: 40 },
    ];
    for (const [index, shape] of shapes.entries()) offer(under, clock, { principal: under.tenant(`t${index}`), ...shape }, 12 * SECOND);
    await clock.advance(3 * SECOND); // Until the queue is full of everybody's.
    const before = new Map(served);
    const differences: number[] = [];
    for (let second = 0; second < 8; second++) {
      await clock.advance(SECOND);
      const since = [...served].map(([tenantId, tokens]) => tokens - before.get(tenantId)!);
      differences.push(Math.max(...since) - Math.min(...since));
    }
    const given = [...served].map(([tenantId, tokens]) => tokens - before.get(tenantId)!);
    const inFlightMax = NODES.length * (ROWS + ROWS / 4);
    const bound = Math.max(TOKEN_WEIGHTS.input * 200, TOKEN_WEIGHTS.output * inFlightMax * 60);
    expect(given.length).toBe(shapes.length);
    expect(jain(given)).toBeGreaterThanOrEqual(0.95);
    expect(Math.max(...differences)).toBeLessThanOrEqual(2 * bound);
    await clock.advance(2 * SECOND);
    expect(under.slots.running).toBe(0);
  });
});

describe("three times as much as can be served", () => {
  /** A row gives 20 tokens in 100 + 19 * 10 ms. */
  const PEAK_TOKENS_PER_SECOND = (NODES.length * ROWS * 20) / 0.29;

  test("gets nine tenths of the peak through, and the rest is told at once when to come again", async () => {
    const { clock, under } = simulatedCluster({}, { ...QUEUE_LIMITS, expectedWaitMsMax: 2 * SECOND });
    const offeredPerTenant = (3 * PEAK_TOKENS_PER_SECOND) / 20 / 3;
    const load = { promptTokens: 8, maxTokens: 20, everyMs: SECOND / offeredPerTenant };
    const seen = ["x", "y", "z"].map((id) => offer(under, clock, { principal: under.tenant(id), ...load }, 10 * SECOND));
    await clock.advance(4 * SECOND); // The queues have found their length.
    const before = seen.reduce((sum, { completedTokens }) => sum + completedTokens, 0);
    await clock.advance(5 * SECOND);
    const goodput = (seen.reduce((sum, { completedTokens }) => sum + completedTokens, 0) - before) / 5;
    expect(goodput).toBeGreaterThanOrEqual(0.9 * PEAK_TOKENS_PER_SECOND);
    const refusals = seen.flatMap(({ refusals: own }) => own);
    expect(refusals.length).toBeGreaterThan(1000);
    expect(new Set(refusals.map(({ reason }) => reason))).toEqual(new Set(["queue_full"]));
    for (const { retry } of refusals) expect(retry).toMatchObject({ kind: "after", waitMs: expect.any(Number) });
    expect(Math.max(...seen.flatMap(({ refusedAfterMs }) => refusedAfterMs))).toBe(0);
    expect(Math.max(...seen.flatMap(({ firstTokens }) => firstTokens.map(({ waitMs }) => waitMs)))).toBeLessThan(3 * SECOND);
    await clock.advance(2 * SECOND);
    expect(under.slots.running).toBe(0);
  });
});
