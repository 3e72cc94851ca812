import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MIB } from "#kernel";
import { openCheckpoint } from "#model";
import { type Compute, foreseeMemory, type RunnerLimits, type RunnerMemory, sumOf } from "#node-agent";
import { softwareDevice } from "../test/software-device.ts";
import { generatedBase } from "./generated-model.ts";
import { type GeneratedShape, SHAPE_32M, SHAPE_TINY } from "./generated-shapes.ts";

let cache: string;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "memory-"));
});
afterAll(() => rm(cache, { recursive: true }));

const ON_PROCESSOR: Compute = { provider: "cpu", weights: "float32" };
const LIMITS: RunnerLimits = { rowsMax: 16, kvTokensMax: 16 * 256, slotsMax: 4, tableRanksMax: 64 };

/** Few: a software device takes a while. */
const DEVICE_LIMITS: RunnerLimits = { ...LIMITS, rowsMax: 2, kvTokensMax: 2 * 64 };

async function measure(shape: GeneratedShape, compute: Compute, limits: RunnerLimits, environment: NodeJS.ProcessEnv = {}) {
  const directory = await generatedBase(cache, shape);
  const checkpoint = await openCheckpoint(directory);
  const foreseen = foreseeMemory({ checkpoint, limits, compute, prefillTokensMax: 128 });
  const env = { ...process.env, ...environment };
  const child = fork(new URL("./runner-peak-process.ts", import.meta.url), [], { execArgv: [], env });
  child.send({ directory, limits, compute });
  using _child = { [Symbol.dispose]: () => void child.kill("SIGKILL") };
  const [{ peakBytes, memory }] = (await once(child, "message")) as [{ peakBytes: number; memory: RunnerMemory }];
  return { foreseen, memory, peakBytes };
}

const SHAPES = [SHAPE_TINY, { ...SHAPE_32M, layerCount: 3 }];

test.each(SHAPES)("a whole engine with $name's shape stays within what was foreseen", { timeout: 60_000 }, async (shape) => {
  const { foreseen, peakBytes } = await measure(shape, ON_PROCESSOR, LIMITS);
  expect(peakBytes / MIB).toBeLessThanOrEqual(sumOf(foreseen) / MIB);
  // The runtime's own share is a constant for the worst of machines, which is most of so small an engine.
  expect(peakBytes / MIB).toBeGreaterThan((0.35 * sumOf(foreseen)) / MIB);
});

const device = softwareDevice();

test.skipIf(device === undefined)(
  "on a device every term that the runner counts was foreseen, and hardly more (skipped without a software device)",
  { timeout: 60_000 },
  async () => {
    const { foreseen, memory } = await measure(SHAPE_TINY, { provider: "webgpu", weights: "float32" }, DEVICE_LIMITS, device);
    for (const term of ["weights", "cache", "tables"] as const) {
      expect(foreseen[term], term).toBeGreaterThanOrEqual(memory[term]);
      expect(foreseen[term], term).toBeLessThanOrEqual(1.1 * memory[term]);
    }
    expect(foreseen.workspace).toBeGreaterThanOrEqual(memory.workspace);
  },
);
