import { seededRandom } from "#kernel";
import { deltaSites, openCheckpoint } from "#model";
import { ADAMW_DEFAULTS, type Example, initialState, initialValues, openGradientSession, trainStep } from "#trainer";
import { type StepsDone, type StepsWanted, TRAIN_JOB } from "./train-messages.ts";

// Our side of `bench train`, in a process of its own so that its memory can be told: argv is the base's folder.

const { rank, alpha, batchSize, textTokens, threads, learningRate } = TRAIN_JOB;
const checkpoint = await openCheckpoint(process.argv[2]!);
const random = seededRandom(1);
const sites = deltaSites(checkpoint.info, { rank, alpha, rankStabilised: false });
const session = await openGradientSession(checkpoint, { kind: "delta", sites }, { threads });
const state = initialState(await initialValues(checkpoint, session.parameters, random));
const settings = {
  schedule: { peak: learningRate, warmupSteps: 0, totalSteps: 1, decay: "none" as const },
  optimizer: ADAMW_DEFAULTS,
  gradientNormMax: 1,
  microbatchTokensMax: batchSize * textTokens,
};

function makeBatch(): readonly Example[] {
  return Array.from({ length: batchSize }, () => ({
    tokenIds: Array.from({ length: textTokens }, () => random.below(checkpoint.config.vocabularySize)),
    weights: new Array<number>(textTokens).fill(1),
  }));
}

process.on("message", async ({ steps }: StepsWanted) => {
  const stepMs: number[] = [];
  let loss = Number.NaN;
  for (let step = 0; step < steps; step++) {
    const batch = makeBatch();
    const startMs = performance.now();
    ({ loss } = await trainStep(session, settings, state, batch));
    stepMs.push(performance.now() - startMs);
  }
  // Kibibytes, on every system that Node knows.
  const done: StepsDone = { stepMs, peakBytes: process.resourceUsage().maxRSS * 1024, loss };
  process.send!(done);
});
process.on("disconnect", () => process.exit(0));
