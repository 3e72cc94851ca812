import { type ChildProcess, fork } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import { type Clock, MINUTE, type Millis } from "#kernel";

/** A part of the cluster in a process of its own, started again when it ends by itself. */
export interface NodeProcess extends AsyncDisposable {
  readonly id: string;
  /** Changes with every start; undefined between two. */
  readonly pid: number | undefined;
}

export interface NodeProcessOptions {
  readonly id: string;
  /** `deltaplane node-agent` or `deltaplane trainer`. */
  readonly component: "node-agent" | "trainer";
  /** Of the component. */
  readonly args: () => readonly string[];
  readonly logFile: string;
}

const BACKOFF_MS_MIN: Millis = 500;
const BACKOFF_MS_MAX: Millis = 10_000;
/** Longer than a node's own drain, so that the kill is the exception. */
const STOP_MS_MAX: Millis = 20_000;

export function startNodeProcess(deps: { readonly clock: Clock; readonly log: Logger }, options: NodeProcessOptions): NodeProcess {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const logs = createWriteStream(options.logFile, { flags: "a" });
  const stopping = new AbortController();
  let child: ChildProcess | undefined;

  const supervise = async () => {
    let backoffMs = BACKOFF_MS_MIN;
    while (!stopping.signal.aborted) {
      const startedAt = deps.clock.monotonic();
      child = fork(join(import.meta.dirname, "../main.ts"), [options.component, ...options.args()], {
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      });
      child.stdout?.pipe(logs, { end: false });
      child.stderr?.pipe(logs, { end: false });
      const ended = await new Promise<string>((resolve) => {
        child!.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
        child!.once("error", (error) => resolve(error.message));
      });
      child = undefined;
      if (stopping.signal.aborted) return;
      if (deps.clock.monotonic() - startedAt > MINUTE) backoffMs = BACKOFF_MS_MIN;
      deps.log.warn({ id: options.id, ended, log: options.logFile }, `${options.component} ended, starting it again in ${backoffMs} ms`);
      await deps.clock.after(backoffMs, stopping.signal).catch(() => undefined);
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX);
    }
  };
  const supervised = supervise();

  return {
    id: options.id,
    get pid() {
      return child?.pid;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      const last = child;
      last?.kill("SIGTERM");
      const over = new AbortController();
      deps.clock.after(STOP_MS_MAX, over.signal).then(
        () => last?.kill("SIGKILL"),
        () => undefined, // It ended in time.
      );
      await supervised;
      over.abort();
      logs.end();
    },
  };
}
