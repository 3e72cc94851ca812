import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCheckpoint } from "#model";
import { measureColdStart } from "./cold-start.ts";
import { loadDeltas, measureTable } from "./engine-table.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";
import type { RateMeter } from "./rate-meter.ts";

/** A machine with round figures: what is tested is that everything is measured, never how fast this machine is. */
const meter: RateMeter = {
  measure: async () => ({ flopsPerSecond: 1e11, bytesPerSecond: 1e10 }),
  async [Symbol.asyncDispose]() {},
};

let cache: string;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "bench-"));
});
afterAll(() => rm(cache, { recursive: true }));

/** Steps of a few milliseconds. */
const SHAPE = { ...SHAPE_TINY, layerCount: 4, hiddenSize: 128, intermediateSize: 512 };

// A bench refuses to give a figure when this process was starved for the length of a text; on a busy machine that may happen once.
test("a table for three deltas has every field that three deltas allow, each measured", { timeout: 60_000, retry: 2 }, async () => {
  const directory = await generatedBase(cache, SHAPE);
  const { info } = await openCheckpoint(directory);
  const deltas = await loadDeltas(info, await generatedDeltas(cache, info, { rank: 8, count: 3 }));
  await using engine = await startBenchEngine(directory, { threads: 1, deltaRanks: [8, 8, 8] });
  const { cells } = await measureTable(engine, deltas, meter, {
    turns: 1,
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  expect(cells.map(({ rows, deltas }) => `${rows}x${deltas}`)).toEqual(
    [
      ["1x0", "1x1"],
      ["8x0", "8x1", "8x2"],
      ["16x0", "16x1", "16x2"],
      ["32x0", "32x1", "32x2"],
    ].flat(),
  );
  for (const cell of cells) {
    expect(cell.tokensPerSecond).toBeGreaterThan(0);
    expect(cell.rooflineShare).toBeGreaterThan(0);
    expect(cell.outsideRunShare).toBeGreaterThan(0);
    expect(cell.outsideRunShare).toBeLessThan(1);
    expect(cell.overBase === undefined).toBe(cell.deltas === 0);
    expect(cell.overSerial === undefined).toBe(cell.deltas < 2);
  }
});

test("cold start: fifty deltas come from disk, each time", { timeout: 60_000 }, async () => {
  const directory = await generatedBase(cache, SHAPE_TINY);
  const cold = await measureColdStart(directory, { cacheDirectory: cache, threads: 1, rank: 4 });
  expect(Number.isFinite(cold.extraMsP50)).toBe(true);
  expect(Number.isFinite(cold.itlP99Ratio)).toBe(true);
});
