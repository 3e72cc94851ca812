import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asDeltaDigest, asTenantId, type Random, seededRandom, systemClock } from "#kernel";
import { loadDelta, openCheckpoint } from "#model";
import type { Example } from "../training/example.ts";
import { TRAINING_DEFAULTS, type TrainingPlan } from "../training/plan.ts";
import { startTraining, type TrainingOptions } from "./start-training.ts";
import type { TrainingReport } from "./training-messages.ts";

const BASE = join(import.meta.dirname, "../../test/golden/files/llama-gqa-tied/base");
const SEED = 7;
const PLAN: TrainingPlan = { ...TRAINING_DEFAULTS, epochs: 3, batchSize: 4, validateEverySteps: 4, seed: SEED };
const LEARNABLE = { kind: "delta", rank: 4, alpha: 8, rankStabilised: true } as const;
/** 18 examples in batches of 4, three times. */
const STEPS = 15;

let root: string;
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "training-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function examples(count: number, random: Random): readonly Example[] {
  return Array.from({ length: count }, () => {
    const length = 4 + random.below(12);
    return {
      tokenIds: Array.from({ length }, () => 3 + random.below(60)),
      weights: Array.from({ length }, (_, place) => (place < 2 ? 0 : 1)),
    };
  });
}

/** Options of a training with folders of its own. */
function options(different: Partial<TrainingOptions> = {}): TrainingOptions {
  const own = join(root, String(folders++));
  const random = seededRandom(SEED);
  return {
    baseDirectory: BASE,
    baseName: "tiny",
    learnable: LEARNABLE,
    plan: PLAN,
    examples: examples(18, random),
    heldOut: examples(5, random),
    threads: 1,
    niceness: 0,
    checkpointDirectory: join(own, "checkpoints"),
    checkpointEverySteps: 4,
    resultDirectory: join(own, "result"),
    ...different,
  };
}

/** Runs a training to its end. */
async function complete(chosen: TrainingOptions): Promise<readonly TrainingReport[]> {
  await using training = await startTraining({ clock: systemClock }, chosen);
  return await Array.fromAsync(training.reports); // Awaited: the training is disposed on the way out.
}

function result({ resultDirectory }: TrainingOptions): Promise<Buffer> {
  return readFile(join(resultDirectory, "adapter_model.safetensors"));
}

describe("a training in its own process", () => {
  test("reports every step, validation and checkpoint, and leaves a delta that serving can load", async () => {
    const chosen = options();
    const reports = await complete(chosen);
    const steps = reports.filter((report) => report.kind === "step");
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, index) => index + 1));
    expect(steps.filter(({ validation }) => validation).map(({ step }) => step)).toEqual([4, 8, 12, 15]);
    expect(steps.filter(({ epochEnd }) => epochEnd).map(({ step }) => step)).toEqual([5, 10, 15]);
    expect(reports.filter(({ kind }) => kind === "checkpoint").map(({ step }) => step)).toEqual([4, 8, 12]);
    const tokens = (chosen.examples as readonly Example[]).reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
    expect(reports.at(-1)).toEqual({
      kind: "finished",
      step: STEPS,
      trainedTokens: 3 * tokens,
      resultStep: STEPS,
      resultDirectory: chosen.resultDirectory,
    });
    expect(steps.at(-1)!.loss).toBeLessThan(steps[0]!.loss);
    const { info } = await openCheckpoint(BASE);
    const reference = { tenantId: asTenantId("acme"), baseDigest: info.digest, digest: asDeltaDigest("0".repeat(64)) };
    const delta = await loadDelta(chosen.resultDirectory, reference, info, { verify: false });
    expect(delta).toMatchObject({ rank: 4 });
    expect(delta.layers.map(({ site }) => site)).toEqual(info.linears.map(({ site }) => site));
    expect(delta.layers.every(({ b }) => b.some((value) => value !== 0))).toBe(true);
    expect(await readdir(chosen.checkpointDirectory)).toHaveLength(2);
  });

  test("gives the same delta for the same seed, bit for bit, and another for another", async () => {
    const [one, other, different] = [options(), options(), options({ plan: { ...PLAN, seed: SEED + 1 } })];
    await Promise.all([complete(one), complete(other), complete(different)]);
    expect(await result(other)).toEqual(await result(one));
    expect(await result(different)).not.toEqual(await result(one));
  });

  test("killed at any step, it loses at most one interval and ends with the same delta, bit for bit", async () => {
    const undisturbed = options();
    await complete(undisturbed);
    const random = seededRandom(SEED);
    const killed = options();
    let reached = 0;
    for (let life = 0; life < 4; life++) {
      const after = 1 + random.below(7);
      await using training = await startTraining({ clock: systemClock }, killed);
      expect(reached - training.summary.stepsDone, "steps lost").toBeLessThanOrEqual(killed.checkpointEverySteps!);
      let seen = 0;
      const read = async () => {
        for await (const report of training.reports) {
          if (report.kind === "step") reached = report.step;
          if (report.kind === "step" && ++seen === after) process.kill(training.processId!, "SIGKILL");
        }
      };
      await read().catch((error) => expect(error).toMatchObject({ reason: "trainer_lost" }));
    }
    const reports = await complete(killed);
    expect(reports.at(-1)).toMatchObject({ kind: "finished", step: STEPS });
    expect(await result(killed)).toEqual(await result(undisturbed));
  });

  test("paused and started again, it goes on as if nothing had been", async () => {
    const [undisturbed, paused] = [options(), options()];
    const whole = await complete(undisturbed);
    await using training = await startTraining({ clock: systemClock }, paused);
    const before: TrainingReport[] = [];
    for await (const report of training.reports) {
      before.push(report);
      if (report.kind === "step" && report.step === 3) training.pause();
    }
    expect(before.at(-1)!.kind).toBe("paused");
    const after = await complete(paused);
    const losses = (reports: readonly TrainingReport[]) => reports.flatMap((report) => (report.kind === "step" ? [report.loss] : []));
    expect([...losses(before), ...losses(after)]).toEqual(losses(whole));
    expect(await result(paused)).toEqual(await result(undisturbed));
  });

  test("told to finish, it ends with what it has learned so far", async () => {
    await using training = await startTraining({ clock: systemClock }, options());
    training.finish();
    const reports = await Array.fromAsync(training.reports);
    expect(reports.at(-1)).toMatchObject({ kind: "finished" });
    expect(reports.at(-1)!.step).toBeLessThan(STEPS);
  });

  test("stops when held-out examples get no better, and gives the best it had", async () => {
    // Random texts can be learned by heart only: what is held out soon gets worse.
    const plan = { ...PLAN, epochs: 60, learningRate: 2e-2, validateEverySteps: 2, patience: 3 };
    const chosen = options({ plan, checkpointEverySteps: 1000 });
    const reports = await complete(chosen);
    const end = reports.at(-1)!;
    const scores = reports.flatMap((report) => (report.kind === "step" && report.validation ? [report.validation] : []));
    const best = scores.reduce((least, score) => (score.loss < least.loss ? score : least));
    expect(end).toMatchObject({ kind: "finished", resultStep: best.step });
    expect(end.step).toBe(best.step + 2 * 3);
  });

  test("keeps the deltas of the last epochs where asked to", async () => {
    const chosen = options({ plan: { ...PLAN, epochs: 4 }, epochDirectory: join(root, "epochs") });
    const reports = await complete(chosen);
    const kept = reports.flatMap((report) => (report.kind === "step" && report.epochResult ? [report.epochResult] : []));
    expect(kept).toHaveLength(4);
    expect((await readdir(join(root, "epochs"))).sort()).toEqual(["epoch-2", "epoch-3", "epoch-4"]);
    expect(await readFile(join(kept.at(-1)!, "adapter_model.safetensors"))).toEqual(await result(chosen));
  });
});

describe("is refused, by a fault that names why:", () => {
  test("a checkpoint of another plan", async () => {
    const first = options();
    await using training = await startTraining({ clock: systemClock }, first);
    training.pause();
    await Array.fromAsync(training.reports);
    const other = startTraining({ clock: systemClock }, { ...first, plan: { ...PLAN, learningRate: 0.5 } });
    await expect(other).rejects.toMatchObject({ reason: "parameter_invalid", message: expect.stringContaining("another plan") });
  });

  test("what its own side finds, as it was found", async () => {
    const refused = startTraining({ clock: systemClock }, options({ learnable: { ...LEARNABLE, targets: ["q_prof"] } }));
    await expect(refused).rejects.toMatchObject({ reason: "parameter_invalid", code: "invalid_argument", detail: { field: "targets" } });
  });

  test("a learning rate at which the loss is lost, in the middle", async () => {
    const plan = { ...PLAN, learningRate: 1e30, warmupShare: 0, epochs: 10 };
    const training = complete(options({ plan }));
    await expect(training).rejects.toMatchObject({ reason: "weights_not_finite", message: expect.stringMatching(/step \d+/) });
  });
});
