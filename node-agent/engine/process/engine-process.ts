import { type ChildProcess, fork } from "node:child_process";
import { asFromEngine, type FromEngine, type ToEngine } from "./process-messages.ts";

/** What the child runs unless told otherwise: the real engine. */
export const ENGINE_PROGRAM = new URL("./main.ts", import.meta.url);

/** The wire to one child process: typed messages there and back, and one word about its end. */
export interface EngineChannel {
  /** Resolves when the message has been written; also when the child is gone, of which `ended` tells. */
  send(message: ToEngine): Promise<void>;
  /** Resolves when the process has ended, however it did. */
  readonly ended: Promise<Error>;
  kill(): void;
}

/**
 * Weights, tables and cache on huge pages: products gain 5 to 10 %, attention a fifth. And what is that large goes back to the system when
 * it is freed: what loading leaves behind would otherwise stay, two fifths of the process (docs/decisions/engine-graph.md).
 * glibc reads both at the start of a process, so the parent has to set them; other libraries ignore them.
 */
const ALLOCATION = { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4194304" };

/**
 * Forks `entry` with this process's Node and environment; the machine's list of processes says which base, `name`, it
 * is for. It inherits the file through which deltas come. `receive` is called with each of its messages, in order.
 */
export function forkEngine(entry: URL, name: string, handOver: number, receive: (message: FromEngine) => void): EngineChannel {
  const child = fork(entry, [`engine-process:${name}`], {
    env: { ...ALLOCATION, ...process.env },
    serialization: "advanced",
    execArgv: [],
    stdio: ["ignore", "inherit", "inherit", "ipc", handOver], // At HAND_OVER_DESCRIPTOR.
  });
  child.on("message", (value) => receive(asFromEngine(value)));
  return {
    send: (message) => send(child, message),
    ended: new Promise((resolve) => {
      child.on("error", (error) => {
        if (child.pid === undefined) resolve(error); // It could not be started: there will be no exit.
      });
      child.once("exit", (code, signal) => resolve(new Error(`the engine's process ended with ${signal ?? `code ${code}`}`)));
    }),
    kill: () => {
      child.kill("SIGKILL");
    },
  };
}

function send(child: ChildProcess, message: ToEngine): Promise<void> {
  return new Promise((resolve) => {
    if (child.connected) child.send(message, () => resolve());
    else resolve();
  });
}
