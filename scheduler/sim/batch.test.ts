import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Batch, type BatchRow } from "./batch.ts";
import { NODE_MODELS, type NodeModel, stepMs } from "./node-model.ts";

const model: NodeModel = { ...NODE_MODELS["cpu-124m"]!, rowsMax: 3, prefillTokensMax: 100, paddedRankMs: 0.01 };

interface Arrival extends BatchRow {
  readonly atMs: number;
}

/** The dumb twin: goes through every step, one token at a time. */
function stepByStep(arrivals: readonly Arrival[]): readonly (readonly [first: number, done: number])[] {
  const outcome = arrivals.map((): [number, number] => [0, 0]);
  let waiting = [...arrivals];
  let rows: { row: Arrival; left: number; fresh: boolean }[] = [];
  let nowMs = 0;
  while (waiting.length > 0 || rows.length > 0) {
    if (rows.length === 0) nowMs = Math.max(nowMs, waiting[0]!.atMs);
    let promptTokens = 0;
    while (rows.length < model.rowsMax && promptTokens < model.prefillTokensMax && waiting[0] && waiting[0].atMs <= nowMs + 1e-6) {
      const row = waiting[0];
      waiting = waiting.slice(1);
      rows.push({ row, left: row.outputTokens, fresh: true });
      promptTokens += row.promptTokens;
    }
    const ranks = new Map(rows.map(({ row }) => [row.delta, row.rank]));
    const rankSum = [...ranks.values()].reduce((sum, rank) => sum + rank, 0);
    nowMs += stepMs(model, rows.length, promptTokens, rankSum, Math.max(0, ...ranks.values()));
    for (const entry of rows) {
      if (entry.fresh) outcome[entry.row.request]![0] = nowMs;
      entry.fresh = false;
      if (--entry.left === 0) outcome[entry.row.request]![1] = nowMs;
    }
    rows = rows.filter(({ left }) => left > 0);
  }
  return outcome;
}

/** The batch, woken as a node wakes it. */
function analytically(arrivals: readonly Arrival[]): readonly (readonly [first: number, done: number])[] {
  const outcome = arrivals.map((): [number, number] => [0, 0]);
  const batch = new Batch(
    model,
    (request, atMs) => {
      outcome[request]![0] = atMs;
    },
    ({ request }, atMs) => {
      outcome[request]![1] = atMs;
    },
  );
  let ready: Arrival[] = [];
  let wakeAtMs = Number.POSITIVE_INFINITY;
  const wake = (nowMs: number) => {
    batch.advance(nowMs);
    batch.join(nowMs, () => ready.shift());
    wakeAtMs = batch.wakeAtMs();
  };
  for (const arrival of arrivals) {
    while (wakeAtMs < arrival.atMs) wake(wakeAtMs);
    ready = [...ready, arrival];
    if (batch.rows < model.rowsMax) wakeAtMs = Math.min(wakeAtMs, batch.nextBoundaryMs(arrival.atMs));
  }
  while (wakeAtMs < Number.POSITIVE_INFINITY) wake(wakeAtMs);
  return outcome;
}

describe("a batch between events", () => {
  it("ends up where stepping through every token does", () => {
    const row = fc.record({
      gapMs: fc.integer({ min: 0, max: 400 }),
      delta: fc.integer({ min: 0, max: 3 }),
      promptTokens: fc.integer({ min: 1, max: 120 }),
      outputTokens: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 25 }), (rows) => {
        let atMs = 0;
        const arrivals = rows.map((one, request): Arrival => {
          atMs += one.gapMs + 0.123; // No arrival at the very moment of a boundary: there the two may differ by one step.
          return { ...one, request, rank: 8 << one.delta, atMs };
        });
        const [expected, actual] = [stepByStep(arrivals), analytically(arrivals)];
        for (const [request, [first, done]] of expected.entries()) {
          expect(actual[request]![0]).toBeCloseTo(first, 5);
          expect(actual[request]![1]).toBeCloseTo(done, 5);
        }
      }),
    );
  });

  it("makes small ranks pay for the large one they are batched with", () => {
    const small = stepMs(model, 8, 0, 8 * 8, 8);
    const mixed = stepMs(model, 8, 0, 7 * 8 + 128, 128);
    expect(mixed).toBeGreaterThan(small);
    expect(stepMs(model, 8, 0, 0, 0)).toBeLessThan(small);
  });
});
