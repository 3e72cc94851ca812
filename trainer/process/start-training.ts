import { assert, BoundedQueue, type Bytes, type Clock, Fault, faultFrom, GIB, MINUTE, type Millis, type Tokens } from "#kernel";
import type { Example } from "../training/example.ts";
import { exampleParts } from "../training/packed-examples.ts";
import { forkTrainer, TRAINER_PROGRAM, type TrainerChannel } from "./trainer-process.ts";
import {
  type ExampleRole,
  type FromTrainer,
  REPORT_WINDOW,
  type TrainingReport,
  type TrainingStart,
  type TrainingSummary,
} from "./training-messages.ts";

export interface TrainingDeps {
  readonly clock: Clock;
  /** The program of the child: one that calls `serveInThisProcess`. By default the one beside this file. */
  readonly entry?: URL;
}

/** What has a default. */
type Chosen = "threads" | "niceness" | "memoryBytesMax" | "tokensMax" | "checkpointEverySteps";
type Examples = AsyncIterable<Example> | Iterable<Example>;

export interface TrainingOptions extends Omit<TrainingStart, Chosen>, Partial<Pick<TrainingStart, Chosen>> {
  readonly examples: Examples;
  /** To be scored now and then; perhaps none. */
  readonly heldOut?: Examples | undefined;
  /** Opening the base and planning, once all examples are there; after that the child is taken to hang. */
  readonly startMsMax?: Millis;
}

/** A training in a process of its own. To dispose it kills the process; what is behind its last checkpoint is then lost. */
export interface RunningTraining extends AsyncDisposable {
  readonly summary: TrainingSummary;
  readonly processId: number | undefined;
  /**
   * Everything that happens, in order; the last one is `finished` or `paused`. To be read once and steadily: a training of
   * which nobody reads waits. Throws the Fault with which it failed, or trainer_lost when its process ended.
   */
  readonly reports: AsyncIterable<TrainingReport>;
  /** Asks for a checkpoint after the running step. */
  checkpoint(): void;
  /** Ends after the running step with a checkpoint, from which a later start goes on. */
  pause(): void;
  /** Ends after the running step, with what has been learned so far as the result. */
  finish(): void;
}

/** Below everything that serves; 19 would starve beside a busy server. */
const NICENESS = 10;
/** As many as the smallest machine has cores. */
const THREADS = 2;
/** A base of 124 M parameters takes 4 GiB. */
const MEMORY_BYTES_MAX: Bytes = 8 * GIB;
/** 800 MB in the child; a hundred times more than small deltas are made from. */
const TOKENS_MAX: Tokens = 100_000_000;
/** Some seconds to a minute of work on a small base. */
const CHECKPOINT_EVERY_STEPS = 50;
/** A base of some gigabytes from a slow disk, read twice, in a process that gives way to others. */
const START_MS_MAX: Millis = 10 * MINUTE;

/**
 * Starts a training in a child process, so that neither its work nor a crash of its runtime reach this one. Resolves when
 * it begins its first step. If `checkpointDirectory` holds a checkpoint, it goes on from there.
 *
 * @throws the Fault with which it could not begin: those of the base's files; op_unsupported; parameter_invalid for the
 * plan, the examples, or a checkpoint of another plan; capacity_exhausted when it does not fit into the memory allowed;
 * trainer_lost
 */
export async function startTraining(deps: TrainingDeps, options: TrainingOptions): Promise<RunningTraining> {
  const { examples, heldOut = [], startMsMax = START_MS_MAX, ...chosen } = options;
  const starting = Promise.withResolvers<TrainingSummary>();
  starting.promise.catch(() => undefined); // Looked at below, perhaps only after all examples were sent.
  const queue = new BoundedQueue<TrainingReport>(REPORT_WINDOW + 1);
  const receive = (message: FromTrainer) => {
    if (message.kind === "ready") starting.resolve(message.summary);
    else if (message.kind === "report") takeReport(queue, message.report);
    else {
      starting.reject(faultFrom(message.fault));
      queue.fail(faultFrom(message.fault));
    }
  };
  const channel = forkTrainer(deps.entry ?? TRAINER_PROGRAM, options.baseName, receive);
  let gone = false;
  channel.ended.then((reason) => {
    gone = true;
    const fault = new Fault("trainer_lost", reason.message, { cause: reason });
    starting.reject(fault);
    queue.fail(fault); // Nothing where the last report has been.
  });
  const timer = new AbortController();
  try {
    void channel.send({ kind: "start", start: { ...DEFAULTS, ...chosen } });
    await sendExamples(channel, "train", examples, () => gone);
    await sendExamples(channel, "held_out", heldOut, () => gone);
    deps.clock.after(startMsMax, timer.signal).then(
      () => starting.reject(new Fault("trainer_lost", `the training had not begun after ${startMsMax} ms`)),
      () => undefined, // Begun in time.
    );
    void channel.send({ kind: "run" });
    return runningTraining(channel, await starting.promise, queue);
  } catch (error) {
    channel.kill();
    await channel.ended;
    throw error;
  } finally {
    timer.abort();
  }
}

const DEFAULTS = {
  threads: THREADS,
  niceness: NICENESS,
  memoryBytesMax: MEMORY_BYTES_MAX,
  tokensMax: TOKENS_MAX,
  checkpointEverySteps: CHECKPOINT_EVERY_STEPS,
};

/** One part ahead of the wire: it never runs dry, and the data set is never in this process as a whole. */
async function sendExamples(channel: TrainerChannel, role: ExampleRole, examples: Examples, gone: () => boolean): Promise<void> {
  let previous = Promise.resolve();
  for await (const part of exampleParts(examples)) {
    const sent = channel.send({ kind: "examples", role, part });
    await previous;
    previous = sent;
    if (gone()) return;
  }
  await previous;
}

function takeReport(queue: BoundedQueue<TrainingReport>, report: TrainingReport): void {
  if (queue.ended) return; // Disposed here; the child has not heard of it yet.
  assert(queue.offer(report), "the trainer's process sent more than it had credit for");
  if (report.kind === "finished" || report.kind === "paused") queue.finish();
}

function runningTraining(channel: TrainerChannel, summary: TrainingSummary, queue: BoundedQueue<TrainingReport>): RunningTraining {
  async function* reports(): AsyncGenerator<TrainingReport> {
    for await (const report of queue) {
      void channel.send({ kind: "credit", reports: 1 });
      yield report;
    }
  }
  return {
    summary,
    processId: channel.processId,
    reports: reports(),
    checkpoint: () => void channel.send({ kind: "checkpoint" }),
    pause: () => void channel.send({ kind: "pause" }),
    finish: () => void channel.send({ kind: "finish" }),
    async [Symbol.asyncDispose]() {
      queue.fail(new Fault("shutting_down", "the training was stopped here"));
      channel.kill();
      await channel.ended;
    },
  };
}
