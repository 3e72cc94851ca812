import { AUTO_EPOCHS, type ChosenEpochs, chooseEpochs } from "../data/index.ts";

/** What a job asks for; what is absent is chosen. */
export interface WishedHyperparameters {
  readonly epochs?: number | undefined;
  readonly batchSize?: number | undefined;
  readonly learningRateMultiplier?: number | undefined;
  readonly rank?: number | undefined;
  readonly alpha?: number | undefined;
  readonly rankStabilised?: boolean | undefined;
  /** Empty: all linear layers. */
  readonly targets: readonly string[];
  readonly promptLossWeight?: number | undefined;
  readonly checkpointSteps?: number | undefined;
}

export type Hyperparameters = { readonly [K in keyof WishedHyperparameters]-?: NonNullable<WishedHyperparameters[K]> };

/** What a choice depends on. */
export interface TrainingFacts {
  /** Those that are trained on. */
  readonly examples: number;
  /** Of the base. */
  readonly parameterCount: number;
  /** The training ends when held-out examples get no better, so that epochs are an upper bound. */
  readonly stopsEarly: boolean;
}

export interface ChosenHyperparameters {
  readonly chosen: Hyperparameters;
  /** Follows from base, rank and batch size, times the multiplier. */
  readonly learningRate: number;
  readonly stepsTotal: number;
  /** By hyper-parameter in the wire's spelling; also `learning_rate`. Sentences that people read. */
  readonly reasons: Readonly<Record<string, string>>;
}

/** Users of hosted fine-tuning know it so. */
const BATCH_SHARE = 0.002;
const BATCH_MAX = 256;
/** Below, a gradient is mostly the accident of which examples came together; a file of few examples has less to lose. */
const BATCH_MIN = 4;
const BATCH_MIN_EXAMPLES = 40;

/** Up to how many examples a rank is enough: more examples hold more that can be learned. */
const RANKS = [
  { examplesMax: 5_000, rank: 8 },
  { examplesMax: 50_000, rank: 16 },
  { examplesMax: Number.POSITIVE_INFINITY, rank: 32 },
] as const;

/** For rank 8 and batches of 8, by the size of the base: larger ones need smaller steps. */
const LEARNING_RATES = [
  { parametersMax: 50e6, rate: 3e-3 },
  { parametersMax: 1e9, rate: 1e-3 },
  { parametersMax: Number.POSITIVE_INFINITY, rate: 2e-4 },
] as const;

/** About so many checkpoints in a job, and never more than so many steps between two. */
const CHECKPOINTS = 10;
const CHECKPOINT_STEPS_MAX = 50;

/** Fills in what was not asked for, and says why. Pure: the same wish and facts give the same choice on any trainer. */
export function chooseHyperparameters(wished: WishedHyperparameters, facts: TrainingFacts): ChosenHyperparameters {
  const { examples, parameterCount, stopsEarly } = facts;
  const reasons: Record<string, string> = {};
  const choose = <T>(name: string, wish: T | undefined, choice: T, reason: string): T => {
    reasons[name] = wish === undefined ? `${String(choice)}: ${reason}` : `${String(wish)}: as asked for`;
    return wish ?? choice;
  };
  const usual = stopsEarly ? mostEpochs(examples) : chooseEpochs(examples);
  const epochs = choose("epochs", wished.epochs, usual.epochs, usual.reason);
  const batchSize = choose("batch_size", wished.batchSize, batchFor(examples), batchReason(examples));
  const rank = choose(
    "rank",
    wished.rank,
    RANKS.find(({ examplesMax }) => examples <= examplesMax)!.rank,
    `enough for ${examples} examples`,
  );
  const alpha = choose("alpha", wished.alpha, 2 * rank, "twice the rank");
  const learningRateMultiplier = choose("learning_rate_multiplier", wished.learningRateMultiplier, 1, "the usual");
  const { rate } = LEARNING_RATES.find(({ parametersMax }) => parameterCount <= parametersMax)!;
  const learningRate = rate * Math.sqrt(batchSize / 8) * Math.sqrt(8 / rank) * learningRateMultiplier;
  reasons["learning_rate"] =
    `${learningRate.toPrecision(3)}: ${rate} for a base of ${(parameterCount / 1e6).toPrecision(3)} M parameters, × √(batch size / 8) × √(8 / rank) × the multiplier`;
  const stepsTotal = epochs * Math.ceil(examples / batchSize);
  const usualSteps = Math.max(1, Math.min(CHECKPOINT_STEPS_MAX, Math.ceil(stepsTotal / CHECKPOINTS)));
  const checkpointReason = `about ${CHECKPOINTS} checkpoints, and at most ${CHECKPOINT_STEPS_MAX} steps are lost by a crash`;
  return {
    chosen: {
      ...{ epochs, batchSize, rank, alpha, learningRateMultiplier, targets: wished.targets },
      rankStabilised: choose("rank_stabilised", wished.rankStabilised, false, "as PEFT"),
      promptLossWeight: choose("prompt_loss_weight", wished.promptLossWeight, 0, "the answers are to be learned"),
      checkpointSteps: choose("checkpoint_steps", wished.checkpointSteps, usualSteps, checkpointReason),
    },
    ...{ learningRate, stepsTotal, reasons },
  };
}

/** As many as anybody would want: the held-out examples say when it is enough. */
function mostEpochs(examples: number): ChosenEpochs {
  const { epochsMin, epochsMax, examplesMax } = AUTO_EPOCHS;
  const epochs = Math.max(epochsMin, Math.min(epochsMax, Math.floor(examplesMax / examples)));
  return { epochs, reason: "at most; training ends by itself when held-out examples get no better" };
}

function batchFor(examples: number): number {
  const share = Math.min(BATCH_MAX, Math.max(1, Math.round(examples * BATCH_SHARE)));
  return examples < BATCH_MIN_EXAMPLES ? share : Math.max(BATCH_MIN, share);
}

function batchReason(examples: number): string {
  const least = examples < BATCH_MIN_EXAMPLES ? 1 : BATCH_MIN;
  return `${100 * BATCH_SHARE} % of ${examples} examples, at least ${least} and at most ${BATCH_MAX}`;
}
