import { rm } from "node:fs/promises";
import path from "node:path";
import { assert, type Clock, CreditGate, seededRandom, unreachable } from "#kernel";
import { type Checkpoint, deltaSites, openCheckpoint, type Trainable } from "#model";
import { type CheckpointIdentity, readCheckpoint, writeCheckpoint } from "../checkpoints/checkpoint-file.ts";
import { checkpointPath, listCheckpoints, pruneCheckpoints } from "../checkpoints/checkpoint-folder.ts";
import { writeFinished } from "../delta-file/finished-model.ts";
import { classificationOf } from "../training/classification.ts";
import { type GradientSession, openGradientSession } from "../training/gradient-session.ts";
import { initialValues } from "../training/initial-values.ts";
import { type MemoryPlan, planMemory } from "../training/memory.ts";
import { PackedExamples } from "../training/packed-examples.ts";
import { checkPlan, type Learnable, planDigest, scheduleOf, stepsPerEpoch } from "../training/plan.ts";
import { type Progress, type TrainingInput, train } from "../training/train.ts";
import { currentValues, initialState, resultValues, type TrainingState } from "../training/training-state.ts";
import {
  type FromTrainer,
  REPORT_WINDOW,
  type ToTrainer,
  type TrainingEnd,
  type TrainingReport,
  type TrainingStart,
} from "./training-messages.ts";

export interface TrainingServerDeps {
  readonly clock: Clock;
  readonly send: (message: FromTrainer) => void;
  /** Lets messages come in; a step holds the loop for its whole length. */
  readonly nextTurn: () => Promise<void>;
}

/** Of the last epochs' deltas so many are kept, as hosted fine-tuning does. */
const EPOCHS_KEPT = 3;

/** The child's side of a training: messages in, messages out. Its shell owns the process and the channel. */
export class TrainingServer {
  readonly #deps: TrainingServerDeps;
  readonly #start: TrainingStart;
  readonly #examples = new PackedExamples();
  readonly #heldOut = new PackedExamples();
  readonly #credit = new CreditGate(REPORT_WINDOW, new AbortController().signal);
  /** What is to be done after the step that runs. */
  readonly #wishes = new Set<"checkpoint" | "pause" | "finish">();

  constructor(deps: TrainingServerDeps, start: TrainingStart) {
    this.#deps = deps;
    this.#start = start;
  }

  /** Any message but `start` and `run`, which are the shell's. */
  receive(message: Exclude<ToTrainer, { kind: "start" | "run" }>): void {
    switch (message.kind) {
      case "examples":
        (message.role === "train" ? this.#examples : this.#heldOut).add(message.part);
        return;
      case "credit":
        this.#credit.give(message.reports);
        return;
      case "checkpoint":
      case "pause":
      case "finish":
        this.#wishes.add(message.kind);
        return;
      default:
        unreachable(message);
    }
  }

  /** Trains to one of its ends, of which the shell tells. Faults: those of the base, the plan, the examples and the checkpoint. */
  async run(): Promise<TrainingEnd> {
    const { baseDirectory, baseName, learnable, plan, threads } = this.#start;
    checkPlan(plan);
    const checkpoint = await openCheckpoint(baseDirectory, { name: baseName });
    const trainable = trainableOf(checkpoint, learnable);
    const memory = this.#checkExamples(checkpoint, trainable);
    await using session = await openGradientSession(checkpoint, trainable, { threads });
    const { state, identity } = await this.#stateFor(checkpoint, session, memory);
    const classification = plan.classification && classificationOf(this.#examples, this.#heldOut, plan.classification.positive);
    const input = {
      plan,
      examples: this.#examples,
      heldOut: this.#heldOut,
      microbatchTokensMax: identity.microbatchTokensMax,
      classification,
    };
    this.#deps.send({
      kind: "ready",
      summary: {
        totalSteps: scheduleOf(plan, this.#examples.count).totalSteps,
        stepsPerEpoch: stepsPerEpoch(this.#examples.count, plan.batchSize),
        stepsDone: state.step,
        trainedTokens: state.trainedTokens,
        parameterCount: memory.learnedValues,
        memoryBytes: memory.sizeBytes,
        microbatchTokensMax: identity.microbatchTokensMax,
        classes: classification?.classes.length ?? 0,
      },
    });
    return await this.#train({ checkpoint, session, input, state, identity });
  }

  #checkExamples(checkpoint: Checkpoint, trainable: Trainable): MemoryPlan {
    const { vocabularySize, contextTokensMax } = checkpoint.config;
    const { tokensMax, memoryBytesMax } = this.#start;
    const limits = { vocabularySize, contextTokensMax, tokensMax };
    assert(this.#examples.count > 0, "a training is started with examples");
    this.#examples.check(limits, "training_file");
    this.#heldOut.check(limits, "validation_file");
    return planMemory(checkpoint, trainable, this.#start.plan, [this.#examples, this.#heldOut], memoryBytesMax);
  }

  /** From the newest checkpoint, or from the beginning. */
  async #stateFor(checkpoint: Checkpoint, session: GradientSession, memory: MemoryPlan) {
    const { plan, learnable, checkpointDirectory } = this.#start;
    const digest = planDigest(checkpoint.info.digest, learnable, plan, this.#examples, this.#heldOut);
    const [newest] = await listCheckpoints(checkpointDirectory);
    if (newest !== undefined) return readCheckpoint(newest, session.parameters, digest);
    const identity = { planDigest: digest, seed: plan.seed, microbatchTokensMax: memory.microbatchTokensMax };
    const values = await initialValues(checkpoint, session.parameters, seededRandom(plan.seed).fork("initial values"));
    return { state: initialState(values), identity };
  }

  async #train(training: Training): Promise<TrainingEnd> {
    const { state, session, input } = training;
    let startMs = this.#deps.clock.monotonic();
    for await (const progress of train(session, input, state)) {
      const epochResult = progress.epochEnd ? await this.#keepEpoch(training, progress) : undefined;
      const now = this.#deps.clock.monotonic();
      await this.#report({ kind: "step", ...progress, durationMs: now - startMs, epochResult });
      await this.#deps.nextTurn();
      if (this.#wishes.has("pause")) {
        await this.#keep(training);
        return { kind: "paused", step: state.step, trainedTokens: state.trainedTokens };
      }
      if (this.#wishes.has("finish")) break;
      if (this.#wishes.delete("checkpoint") || state.step % this.#start.checkpointEverySteps === 0) await this.#keep(training);
      startMs = this.#deps.clock.monotonic();
    }
    const { resultDirectory, learnable } = this.#start;
    await writeFinished(resultDirectory, training.checkpoint, learnable, resultValues(state));
    const resultStep = state.best?.values ? state.best.step : state.step;
    return { kind: "finished", step: state.step, trainedTokens: state.trainedTokens, resultStep, resultDirectory };
  }

  async #keep({ session, state, identity }: Training): Promise<void> {
    const { checkpointDirectory } = this.#start;
    const file = checkpointPath(checkpointDirectory, state.step);
    await writeCheckpoint(file, session.parameters, state, identity);
    await pruneCheckpoints(checkpointDirectory);
    await this.#report({ kind: "checkpoint", step: state.step, file });
  }

  async #keepEpoch({ checkpoint, state }: Training, { epoch }: Progress): Promise<string | undefined> {
    const { epochDirectory, learnable } = this.#start;
    if (epochDirectory === undefined) return undefined;
    const directoryOf = (number: number) => path.join(epochDirectory, `epoch-${number}`);
    await writeFinished(directoryOf(epoch + 1), checkpoint, learnable, currentValues(state));
    await rm(directoryOf(epoch + 1 - EPOCHS_KEPT), { recursive: true, force: true });
    return directoryOf(epoch + 1);
  }

  /** Waits where the parent has not read for long. */
  async #report(report: TrainingReport): Promise<void> {
    this.#deps.send({ kind: "report", report });
    await this.#credit.take();
  }
}

/** All that one training works with. */
interface Training {
  readonly checkpoint: Checkpoint;
  readonly session: GradientSession;
  readonly input: TrainingInput;
  readonly state: TrainingState;
  readonly identity: CheckpointIdentity;
}

/** What a plan's words mean for this base. @throws Fault parameter_invalid */
function trainableOf({ info }: Checkpoint, learnable: Learnable): Trainable {
  return learnable.kind === "full" ? { kind: "full" } : { kind: "delta", sites: deltaSites(info, learnable) };
}
