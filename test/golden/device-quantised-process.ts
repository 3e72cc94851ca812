// Quantised weights on whatever device there is, in a process of its own: the runtime looks for devices when it is loaded. Prints what came
// out, a line of JSON for each model and format; device-quantised.test.ts knows what is right.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { seededRandom } from "#kernel";
import type { Checkpoint, LoadedDelta } from "#model";
import { foreseeMemory, type WeightFormat } from "#node-agent";
import { DeviceMemory } from "../../node-agent/engine/runner/device/device-memory.ts";
import { denseLogits, openRunner, type StepRow } from "../../node-agent/engine/runner/index.ts";
import { referenceForward } from "../../node-agent/engine/runner/reference-forward.ts";
import { createTinyCheckpoint, createTinyDelta, steppedRandom, TINY_CONFIGS } from "../../node-agent/engine/runner/tiny-checkpoint.ts";
import { distance } from "./golden-runner.ts";
import { CASES, type QuantisedReport } from "./quantised-report.ts";

const LIMITS = { rowsMax: 4, kvTokensMax: 512, slotsMax: 2, tableRanksMax: 32 };
/** More than one tile of the kernel for many tokens; then a token of each row in one batch. */
const PROMPT_TOKENS = 20;
const TOKENS = PROMPT_TOKENS + 1;

/** Rows of the base and of two deltas in one batch, against plain sums over the weights. */
async function report(name: string, checkpoint: Checkpoint, weights: QuantisedReport["weights"]): Promise<QuantisedReport> {
  const compute = { provider: "webgpu", weights } as const;
  await using runner = await openRunner(checkpoint, { limits: LIMITS, threads: 1, compute });
  const random = seededRandom(5);
  const deltas: readonly (LoadedDelta | undefined)[] = [
    createTinyDelta(checkpoint, 8, random),
    undefined,
    createTinyDelta(checkpoint, 4, random, /0\./),
  ];
  const texts = deltas.map((delta) => ({
    delta,
    slot: delta && runner.attach(delta)!,
    tokens: Array.from({ length: TOKENS }, () => random.below(checkpoint.config.vocabularySize)),
    row: runner.open(TOKENS)!,
  }));
  for (const { slot } of texts) while (slot !== undefined && !(await runner.fill(slot)));
  const distances: number[] = [];
  for (const [from, to] of [
    [0, PROMPT_TOKENS],
    [PROMPT_TOKENS, TOKENS],
  ] as const) {
    const rows = texts.map(({ row, slot, tokens }): StepRow => ({ row, slot, tokens: tokens.slice(from, to), logits: "last" }));
    const logits = await runner.run(rows);
    for (const [index, { delta, tokens }] of texts.entries()) {
      const expected = (await referenceForward(checkpoint, tokens.slice(0, to), delta)).at(-1)!;
      distances.push(distance(denseLogits(logits[index]!), Float32Array.from(expected)));
    }
  }
  const foreseen = (format: WeightFormat) =>
    foreseeMemory({ checkpoint, limits: LIMITS, compute: { ...compute, weights: format }, prefillTokensMax: PROMPT_TOKENS }).weights;
  const bytes = { weightBytes: runner.memory.weights, foreseenBytes: foreseen(weights), foreseenFloat32Bytes: foreseen("float32") };
  return { name, weights, distances, ...bytes };
}

/** Kept to the end: the runtime forgets the device's compiled kernels with its last session. */
const keeper = await DeviceMemory.open("float32");
const directory = await mkdtemp(path.join(tmpdir(), "device-quantised-"));
for (const [name, weights] of CASES) {
  const checkpoint = await createTinyCheckpoint(path.join(directory, name), TINY_CONFIGS[name], steppedRandom(5));
  console.log(JSON.stringify(await report(name, checkpoint, weights)));
}
await rm(directory, { recursive: true });
await keeper[Symbol.asyncDispose]();
