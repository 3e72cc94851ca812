import { join } from "node:path";
import { systemClock } from "#kernel";
import type { Checkpoint, DeltaSettings, TextCodec } from "#model";
import { startTraining, TRAINING_DEFAULTS, type TrainingPlan } from "#trainer";
import { encodeTask, type TaskExample } from "./demo-data.ts";

/** How one demo delta is trained. */
export interface DeltaRecipe {
  readonly settings: DeltaSettings;
  readonly plan: TrainingPlan;
}

export const TASKS = ["tax", "copy", "translate"] as const;
export type Task = (typeof TASKS)[number];

function recipe(settings: DeltaSettings, plan: Pick<TrainingPlan, "epochs" | "batchSize" | "learningRate">): DeltaRecipe {
  return { settings, plan: { ...TRAINING_DEFAULTS, ...plan, decay: "cosine", seed: 1 } };
}

/** For 200 examples each, in both prompt forms. The gentlest for translations: the base knows them, the delta only has to ask for them. */
export const RECIPES: Readonly<Record<Task, DeltaRecipe>> = {
  tax: recipe({ rank: 8, alpha: 16, rankStabilised: false }, { epochs: 8, batchSize: 8, learningRate: 3e-3 }),
  copy: recipe({ rank: 12, alpha: 24, rankStabilised: false }, { epochs: 8, batchSize: 8, learningRate: 3e-3 }),
  translate: recipe({ rank: 16, alpha: 8, rankStabilised: true }, { epochs: 4, batchSize: 16, learningRate: 2e-3 }),
};

/** Trains one delta in a process of its own; gives the folder and what it took. */
export async function trainDelta(
  checkpoint: Checkpoint,
  codec: TextCodec,
  examples: readonly TaskExample[],
  { settings, plan }: DeltaRecipe,
  into: string,
  progress: (line: string) => void,
): Promise<{ readonly directory: string; readonly seconds: number; readonly steps: number }> {
  const startMs = performance.now();
  await using training = await startTraining(
    { clock: systemClock },
    {
      baseDirectory: checkpoint.directory,
      baseName: checkpoint.info.name,
      learnable: { kind: "delta", ...settings },
      plan,
      examples: await encodeTask(examples, codec, checkpoint),
      checkpointDirectory: join(into, "checkpoints"),
      checkpointEverySteps: 500,
      resultDirectory: join(into, "delta"),
      niceness: 0,
    },
  );
  let steps = training.summary.stepsDone;
  for await (const report of training.reports) {
    if (report.kind === "step" && report.epochEnd)
      progress(`epoch ${report.epoch + 1} of ${plan.epochs}, step ${report.step}: loss ${report.loss.toFixed(4)}`);
    if (report.kind === "finished") steps = report.step;
  }
  return { directory: join(into, "delta"), seconds: (performance.now() - startMs) / 1000, steps };
}
