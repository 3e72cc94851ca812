import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GIB, MIB, seededRandom } from "#kernel";
import type { Checkpoint } from "#model";
import { chooseCompute } from "./engine/compute.ts";
import type { RunnerMemory } from "./engine/runner/contract.ts";
import { openRunner } from "./engine/runner/index.ts";
import { createTinyCheckpoint, createTinyDelta, TINY_CONFIGS } from "./engine/runner/tiny-checkpoint.ts";
import { TOY_BASE } from "./engine/testing/toy-runner.ts";
import { engineLimits } from "./engine-limits.ts";
import { createMemoryLedger, foreseeMemory, MemoryLedger } from "./memory-budget.ts";

const COUNTED = ["weights", "cache", "tables"] as const;
const limits = { rowsMax: 5, kvTokensMax: 700, slotsMax: 3, tableRanksMax: 40 };

describe("what is foreseen, against what the runner then holds", () => {
  let directory: string;
  const checkpoints = new Map<string, Checkpoint>();
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "memory-budget-"));
    for (const [name, config] of Object.entries(TINY_CONFIGS))
      checkpoints.set(name, await createTinyCheckpoint(join(directory, name.replaceAll(/\W/g, "-")), config, seededRandom(7)));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test.each(Object.keys(TINY_CONFIGS))("%s, in float32 on the processor: never less, and at most a tenth more", async (name) => {
    const checkpoint = checkpoints.get(name)!;
    const compute = chooseCompute("cpu", "float32");
    const foreseen = foreseeMemory({ checkpoint, limits, compute, prefillTokensMax: 64 });
    await using runner = await openRunner(checkpoint, { limits, compute, threads: 1 });
    runner.attach(createTinyDelta(checkpoint, 8, seededRandom(1)));
    const row = runner.open(checkpoint.info.contextTokensMax)!;
    for (let step = 0; step < 3; step++) await runner.run([{ row, tokens: [1, 2, 3], slot: undefined, logits: "last" }]);
    for (const term of COUNTED) {
      expect(foreseen[term], term).toBeGreaterThanOrEqual(runner.memory[term]);
      expect(foreseen[term], term).toBeLessThanOrEqual(1.1 * runner.memory[term]);
    }
  });

  test.each(["int8", "int4"] as const)(
    "%s: never less than what the runner holds, and less than half of float32 with wide layers",
    async (weights) => {
      for (const checkpoint of checkpoints.values()) {
        const compute = chooseCompute("cpu", weights);
        await using runner = await openRunner(checkpoint, { limits, compute, threads: 1 });
        expect(foreseeMemory({ checkpoint, limits, compute, prefillTokensMax: 64 }).weights).toBeGreaterThanOrEqual(runner.memory.weights);
      }
      const { config } = checkpoints.get("qwen2")!;
      const wide = { inputSize: 4096, outputSize: 4096, site: "layers.0.q", module: "q" };
      const info = { ...TOY_BASE, hiddenSize: 4096, vocabularySize: 100, linears: [wide], parameterCount: 4096 * 4096 };
      const checkpoint = { info, config: { ...config, contextTokensMax: 128 } };
      const [whole, quantised] = (["float32", weights] as const).map(
        (format) => foreseeMemory({ checkpoint, limits, compute: chooseCompute("cpu", format), prefillTokensMax: 64 }).weights,
      );
      expect(quantised!).toBeLessThan(whole! / 2);
    },
  );
});

describe("the room of a node", () => {
  const memory: RunnerMemory = { weights: 300 * MIB, cache: 200 * MIB, tables: 50 * MIB, workspace: 25 * MIB };

  test("takes engines until it is full, refuses the next with every term and what makes it smaller, and has room again when one leaves", () => {
    const ledger = new MemoryLedger({ sizeBytes: 1000 * MIB, source: "--device-memory-mib" });
    const first = ledger.reserve("llama", memory);
    expect(() => ledger.reserve("qwen", memory)).toThrow(
      "qwen would take 1150 MiB, and --device-memory-mib has 1000 MiB: weights 300 MiB (--weights), cache 200 MiB (--kv-mib, --rows), " +
        "tables 50 MiB (--tables-mib), workspace 25 MiB (--prefill-tokens, --rows), the engine of llama 575 MiB",
    );
    first[Symbol.dispose]();
    ledger.reserve("qwen", memory);
  });

  test("on the processor is shared with the agent and its deltas in memory; on a device it is the engines' alone", () => {
    const room = { sizeBytes: 2 * GIB, source: "this machine" };
    const onProcessor = createMemoryLedger(room, chooseCompute("cpu"), GIB + 512 * MIB);
    expect(() => onProcessor.reserve("llama", memory)).toThrow(
      /hand-over file 50 MiB \(--tables-mib\), its reader 50 MiB \(--tables-mib\), the agent 256 MiB, deltas in memory 1536 MiB \(--ram-mib\)$/,
    );
    createMemoryLedger(room, chooseCompute("webgpu"), GIB + 512 * MIB).reserve("llama", memory);
  });

  test("on the processor, counts what deltas lie in on their way to each engine, up to what is kept of it", () => {
    const large = { ...memory, tables: 500 * MIB };
    const room = { sizeBytes: 256 * MIB + 2 * (1025 + 2 * 64) * MIB, source: "this machine" };
    const ledger = createMemoryLedger(room, chooseCompute("cpu"), 0);
    ledger.reserve("llama", large);
    ledger.reserve("qwen", large);
    expect(() => ledger.reserve("gpt2", { weights: 1, cache: 0, tables: 0, workspace: 0 })).toThrow("the engine of qwen 1153 MiB");
  });

  test("is never to be asked again for what it refused", () => {
    const ledger = new MemoryLedger({ sizeBytes: MIB, source: "the container" });
    expect(() => ledger.reserve("llama", memory)).toThrow(
      expect.objectContaining({ reason: "capacity_exhausted", retry: { kind: "never" }, detail: { resource: "llama" } }),
    );
  });
});

test("limits on a device that keeps half as many bytes hold twice as many tokens and ranks", () => {
  const base = { ...TOY_BASE, contextTokensMax: 2 ** 20 };
  const [whole, half] = (["float32", "float16"] as const).map((weights) =>
    engineLimits(base, { kvBytesMax: 64 * GIB, tableBytesMax: 64 * 1024 }, chooseCompute("webgpu", weights)),
  );
  expect(half!.kvTokensMax).toBe(Math.min(2 * whole!.kvTokensMax, 32 * base.contextTokensMax));
  expect(half!.tableRanksMax).toBe(2 * whole!.tableRanksMax);
});

test("a whole context fits unless less is said, as it may have to be for one of a hundred thousand tokens", () => {
  const base = { ...TOY_BASE, contextTokensMax: 2 ** 17 };
  const tokenBytes = 2 * base.layerCount * base.kvHeadCount * base.headSize * 4;
  expect(engineLimits(base, { kvBytesMax: 1000 * tokenBytes }).kvTokensMax).toBe(1000);
  expect(engineLimits(base, { kvBytesMax: 1 }).kvTokensMax).toBe(256);
  const wide = { ...base, layerCount: 2 ** 10 };
  expect(engineLimits(wide).kvTokensMax).toBe(base.contextTokensMax);
});
