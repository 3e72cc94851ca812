import { type ChildProcess, fork } from "node:child_process";
import { asFromTrainer, type FromTrainer, type ToTrainer } from "./training-messages.ts";

/** What the child runs unless told otherwise. */
export const TRAINER_PROGRAM = new URL("./main.ts", import.meta.url);

/** The wire to one child process: typed messages there and back, and one word about its end. */
export interface TrainerChannel {
  readonly processId: number | undefined;
  /** Resolves when the message has been written; also when the child is gone, of which `ended` tells. */
  send(message: ToTrainer): Promise<void>;
  /** Resolves when the process has ended, however it did, and all that it said has been received. */
  readonly ended: Promise<Error>;
  kill(): void;
}

/**
 * Large tensors on huge pages; glibc reads it at the start of a process (docs/decisions/engine-graph.md). The engine's process also sets
 * from which size on memory goes back to the system; here that saved nothing to speak of (354 beside 362 MB at the peak, demo base).
 */
const HUGE_PAGES = { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1" };

/** Forks `entry` with this process's Node and environment. `receive` is called with each of its messages, in order. */
export function forkTrainer(entry: URL, name: string, receive: (message: FromTrainer) => void): TrainerChannel {
  const child = fork(entry, [`trainer-process:${name}`], {
    env: { ...HUGE_PAGES, ...process.env },
    serialization: "advanced",
    execArgv: [],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.on("message", (value) => receive(asFromTrainer(value)));
  return {
    processId: child.pid,
    send: (message) => send(child, message),
    ended: new Promise((resolve) => {
      child.on("error", (error) => {
        if (child.pid === undefined) resolve(error); // It could not be started: there will be no exit.
      });
      child.once("close", (code, signal) => resolve(new Error(`the trainer's process ended with ${signal ?? `code ${code}`}`)));
    }),
    kill: () => {
      child.kill("SIGKILL");
    },
  };
}

function send(child: ChildProcess, message: ToTrainer): Promise<void> {
  return new Promise((resolve) => {
    if (child.connected) child.send(message, () => resolve());
    else resolve();
  });
}
