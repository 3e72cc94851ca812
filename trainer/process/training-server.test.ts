import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GIB, systemClock } from "#kernel";
import type { Example } from "../training/example.ts";
import { TRAINING_DEFAULTS } from "../training/plan.ts";
import { packExamples } from "../training/testing/pack-examples.ts";
import type { FromTrainer, TrainingStart } from "./training-messages.ts";
import { TrainingServer } from "./training-server.ts";

const BASE = join(import.meta.dirname, "../../test/golden/files/llama-gqa-tied/base");
const LEARNABLE = { kind: "delta", rank: 4, alpha: 8, rankStabilised: false } as const;
const PLAN = { ...TRAINING_DEFAULTS, epochs: 2, batchSize: 2, validateEverySteps: 2 };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "training-server-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A server in this process that has been given everything, and what it says. */
async function server(different: Partial<TrainingStart>, examples: readonly Example[], heldOut: readonly Example[] = []) {
  const own = await mkdtemp(join(root, "own-"));
  const start: TrainingStart = {
    baseDirectory: BASE,
    baseName: "tiny",
    learnable: LEARNABLE,
    plan: PLAN,
    threads: 1,
    niceness: 0,
    memoryBytesMax: GIB,
    tokensMax: 1000,
    checkpointDirectory: join(own, "checkpoints"),
    checkpointEverySteps: 10,
    resultDirectory: join(own, "result"),
    ...different,
  };
  const said: FromTrainer[] = [];
  const created = new TrainingServer({ clock: systemClock, send: (message) => said.push(message), nextTurn: () => nextTurn() }, start);
  for (const [role, set] of [["train", examples] as const, ["held_out", heldOut] as const]) {
    const packed = await packExamples(set);
    const [tokenIds, weights] = [[...packed].flatMap((one) => one.tokenIds), [...packed].flatMap((one) => one.weights)];
    const part = { lengths: Int32Array.from(packed.lengths), tokenIds: Int32Array.from(tokenIds), weights: Float32Array.from(weights) };
    created.receive({ kind: "examples", role, part });
  }
  return { server: created, said };
}

/** A question of two tokens and one of two answers, with an end. */
function labelled(question: number): Example {
  return { tokenIds: [question, 20, question % 2 === 0 ? 10 : 11, 2], weights: [0, 0, 1, 1] };
}
const GOOD = Array.from({ length: 8 }, (_, index) => labelled(30 + index));

describe("a training is refused before its first step, by a fault that names why:", () => {
  test.each<[string, Partial<TrainingStart>, readonly Example[], object]>([
    ["a base that is not there", { baseDirectory: "/nowhere" }, GOOD, { reason: "file_missing" }],
    ["a rank out of range", { learnable: { ...LEARNABLE, rank: 0 } }, GOOD, { reason: "parameter_invalid", detail: { field: "rank" } }],
    ["no number as learning rate", { plan: { ...PLAN, learningRate: Number.NaN } }, GOOD, { detail: { field: "learning_rate" } }],
    ["a million epochs", { plan: { ...PLAN, epochs: 1_000_000 } }, GOOD, { detail: { field: "epochs" } }],
    ["half a batch", { plan: { ...PLAN, batchSize: 0.5 } }, GOOD, { detail: { field: "batch_size" } }],
    ["too little memory", { memoryBytesMax: 10 * 2 ** 20 }, GOOD, { reason: "capacity_exhausted", retry: { kind: "never" } }],
    ["a token outside the vocabulary", {}, [{ tokenIds: [1, 99_999], weights: [0, 1] }], { detail: { field: "training_file" } }],
    [
      "a text beyond the context",
      {},
      [{ tokenIds: new Array(5000).fill(1), weights: new Array(5000).fill(1) }],
      { reason: "parameter_invalid" },
    ],
    ["a weight that is no number", {}, [{ tokenIds: [1, 2], weights: [0, Number.NaN] }], { detail: { field: "training_file" } }],
    ["nothing to learn", {}, [{ tokenIds: [1, 2], weights: [1, 0] }], { message: expect.stringContaining("example 1") }],
    ["more tokens than are kept", { tokensMax: 10 }, GOOD, { message: expect.stringContaining("32 tokens") }],
  ])("%s", async (_, different, examples, fault) => {
    const { server: refused, said } = await server(different, examples);
    await expect(refused.run()).rejects.toMatchObject(fault);
    expect(said).toEqual([]);
  });

  test("held-out examples that can't be scored", async () => {
    const { server: refused } = await server({}, GOOD, [{ tokenIds: [1], weights: [1] }]);
    await expect(refused.run()).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "validation_file" } });
  });
});

test("labels are told apart better and better, and one class is looked at when named", async () => {
  const plan = { ...PLAN, epochs: 40, learningRate: 2e-2, classification: { positive: [11] } };
  const { server: labels, said } = await server({ plan: { ...plan, validateEverySteps: 160 } }, GOOD, GOOD);
  // Nobody takes reports here: give all the credit that there can be.
  labels.receive({ kind: "credit", reports: 1000 });
  await labels.run();
  expect(said[0]).toMatchObject({ kind: "ready", summary: { classes: 2, stepsPerEpoch: 4, totalSteps: 160 } });
  const reports = said.flatMap((message) => (message.kind === "report" && message.report.kind === "step" ? [message.report] : []));
  const { validation } = reports.at(-1)!;
  expect(validation?.classification).toEqual({ cases: 8, accuracy: 1, weightedF1: 1, precision: 1, recall: 1 });
});
