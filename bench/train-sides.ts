import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { end, orEnd, startPythonSide } from "./python-side.ts";
import { type StepsDone, type StepsWanted, TRAIN_JOB } from "./train-messages.ts";

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
  const side = startPythonSide<StepsWanted, StepsDone>(python, script, [directory, JSON.stringify(TRAIN_JOB)]);
  return { run: (steps) => side.ask({ steps }), [Symbol.asyncDispose]: () => side[Symbol.asyncDispose]() };
}
