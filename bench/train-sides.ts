import { type ChildProcess, execFile, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { type StepsDone, TRAIN_JOB } from "./train-messages.ts";

/** One of the two that are compared, ready to make steps. */
export interface TrainSide extends AsyncDisposable {
  run(steps: number): Promise<StepsDone>;
}

/** Ours, in a process of its own. */
export function startOurSide(directory: string): TrainSide {
  const child = fork(join(import.meta.dirname, "train-process.ts"), [directory], {
    execArgv: [],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  return {
    async run(steps) {
      child.send({ steps });
      const [done] = (await orEnd(child, once(child, "message"))) as [StepsDone];
      return done;
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

/** PyTorch and peft. */
export function startPeftSide(python: string, directory: string): TrainSide {
  const script = join(import.meta.dirname, "train-peft.py");
  const child = spawn(python, [script, directory, JSON.stringify(TRAIN_JOB)], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(steps) {
      child.stdin.write(`${JSON.stringify({ steps })}\n`);
      const { value } = await orEnd(child, lines.next());
      if (value === undefined) throw new Error("train-peft.py ended before it answered");
      return JSON.parse(value) as StepsDone;
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

/** A Python that has what the comparison needs: the one named, or the machine's; undefined where there is none. */
export async function findPython(named: string | undefined): Promise<string | undefined> {
  const python = named ?? "python3";
  try {
    await promisify(execFile)(python, ["-c", "import torch, transformers, peft"]);
    return python;
  } catch (error) {
    if (named !== undefined) throw error; // Whoever names one wants the comparison.
    return undefined; // No Python, or one without these.
  }
}

async function orEnd<T>(child: ChildProcess, work: Promise<T>): Promise<T> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`a side of the comparison ended with code ${code}`);
  });
  return Promise.race([work, ended]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
