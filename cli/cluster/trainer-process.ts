import { join } from "node:path";
import type { Logger } from "pino";
import type { Clock, Millis } from "#kernel";
import type { RunningRouter } from "#router";
import type { Home } from "./home.ts";
import { type NodeProcess, startNodeProcess } from "./node-process.ts";

/** The embedded cluster's trainer: a process like a node's, but only from the first job on. */
export interface TrainerProcess extends AsyncDisposable {
  /** Undefined until there was a job, and between two starts. */
  readonly pid: number | undefined;
}

/** Nobody who starts a job notices so long a wait; the look costs nothing. */
const LOOK_MS: Millis = 100;

/** Most clusters on a laptop never train: they need no process for it. */
export function startTrainerProcess(
  deps: { readonly clock: Clock; readonly log: Logger },
  home: Home,
  router: Pick<RunningRouter, "jobsWaiting" | "grpcPort">,
): TrainerProcess {
  const stop = new AbortController();
  let started: NodeProcess | undefined;
  const waiting = (async () => {
    while (!stop.signal.aborted && !router.jobsWaiting()) await deps.clock.after(LOOK_MS, stop.signal).catch(() => undefined);
    if (stop.signal.aborted) return;
    started = startNodeProcess(deps, {
      ...{ id: "trainer", component: "trainer", logFile: join(home.directory, "logs", "trainer.log") },
      args: () => [
        ...["--name", "trainer", "--router", `127.0.0.1:${router.grpcPort}`],
        ...["--cluster-key-file", home.path("cluster-key"), "--directory", home.path("trainer"), "--metrics-listen", "127.0.0.1:0"],
      ],
    });
  })();
  return {
    get pid() {
      return started?.pid;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await waiting;
      await started?.[Symbol.asyncDispose]();
    },
  };
}
