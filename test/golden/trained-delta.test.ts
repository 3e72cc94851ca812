import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom, systemClock } from "#kernel";
import { type Example, type Learnable, startTraining, TRAINING_DEFAULTS } from "#trainer";

/**
 * What our trainer leaves is loaded by peft and transformers themselves, and predicts a text as well there as it did here.
 * Needs a Python with both: DELTAPLANE_PYTHON, or python3.
 */
const PYTHON = process.env["DELTAPLANE_PYTHON"] ?? "python3";
const run = promisify(execFile);
const hasPeft = await run(PYTHON, ["-c", "import torch, transformers, peft"]).then(
  () => true,
  () => false,
);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "trained-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const DELTA = { kind: "delta", rank: 4, alpha: 6 } as const;
const CASES: readonly (readonly [base: string, learnable: Learnable])[] = [
  ["llama-gqa-tied", { ...DELTA, rankStabilised: true }],
  ["llama-gqa-tied", { ...DELTA, rankStabilised: false, targets: ["q_proj", "down_proj"] }],
  ["gpt2", { ...DELTA, rankStabilised: false }],
  ["qwen3", { ...DELTA, rankStabilised: true }],
  ["llama-gqa-tied", { kind: "full" }],
  ["gpt2", { kind: "full" }],
];

describe.skipIf(!hasPeft)("what was trained on", () => {
  test.each(CASES)("%s, %o, is loaded by peft and transformers with the same losses", async (base, learnable) => {
    const directory = join(import.meta.dirname, "files", base, "base");
    const resultDirectory = await mkdtemp(join(root, "result-"));
    const example = text();
    await using training = await startTraining(
      { clock: systemClock },
      {
        baseDirectory: directory,
        baseName: base,
        learnable,
        plan: {
          ...TRAINING_DEFAULTS,
          epochs: 20,
          batchSize: 1,
          learningRate: learnable.kind === "full" ? 1e-3 : 1e-2,
          validateEverySteps: 20,
        },
        examples: [example],
        heldOut: [example],
        checkpointDirectory: join(resultDirectory, "checkpoints"),
        resultDirectory: join(resultDirectory, "result"),
      },
    );
    const reports = await Array.fromAsync(training.reports);
    const ours = reports.flatMap((report) => (report.kind === "step" && report.validation ? [report.validation.loss] : [])).at(-1)!;
    const first = reports[0]!.kind === "step" ? reports[0]!.loss : Number.NaN;
    const folders = learnable.kind === "full" ? [join(resultDirectory, "result"), ""] : [directory, join(resultDirectory, "result")];
    const { stdout } = await run(PYTHON, [join(import.meta.dirname, "load_trained.py"), ...folders, JSON.stringify(example.tokenIds)]);
    const { losses, settings } = JSON.parse(stdout) as { losses: readonly number[]; settings: object | null };
    const theirs = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    // A base in half precision is rounded when it is written.
    expect(Math.abs(theirs - ours)).toBeLessThan(learnable.kind === "full" ? 5e-3 : 1e-4);
    expect(theirs).toBeLessThan(first - 0.1);
    if (learnable.kind === "delta") {
      expect(settings).toEqual({ r: 4, alpha: 6, rslora: learnable.rankStabilised, fan: base === "gpt2" });
    }
  });
});

function text(): Example {
  const random = seededRandom(5);
  const tokenIds = Array.from({ length: 24 }, () => 3 + random.below(60));
  return { tokenIds, weights: tokenIds.map(() => 1) };
}
