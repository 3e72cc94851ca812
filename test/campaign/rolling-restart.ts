import { quantile } from "../../bench/statistics.ts";
import type { KeptProcess, Stop } from "./kept-process.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { type LoadFigures, p99 } from "./load-figures.ts";
import { pause, waitUntil } from "./patience.ts";
import type { SteadyLoad } from "./steady-load.ts";
import type { Violation } from "./storm-check.ts";

export interface RollingRestartOptions {
  readonly ratePerSecond: number;
  /** Restarts go on until so many were sent. */
  readonly requests: number;
  /** Of each kind only the first: for who has seconds only. */
  readonly oneOfEach?: boolean;
  readonly progress?: (line: string) => void;
}

interface Restart {
  readonly name: string;
  readonly stop: Stop;
}

/** Restarted last, and ready when it runs: it has no page of its own. */
interface Part {
  readonly process: KeptProcess;
  readonly ready?: string;
}

const READY_MS_MAX = 60_000;
/** Between a router's readiness and the end of the next part, as docs/drain.md asks of a rollout: clients connect again meanwhile. */
const ROUTER_PAUSE_MS = 3_000;

/** Every process in turn is told to stop and started again, under load: nobody may notice. */
export async function checkRollingRestart(cluster: LiveCluster, load: SteadyLoad, options: RollingRestartOptions): Promise<LoadFigures> {
  const { ratePerSecond, requests, progress = () => undefined } = options;
  const over = new AbortController();
  const running = load.run(ratePerSecond, over.signal);
  const restarts: Restart[] = [];
  let rounds = 0;
  for (; rounds === 0 || load.records.length < requests; rounds++) {
    for (const part of partsOf(cluster, options.oneOfEach === true)) {
      restarts.push({ name: part.process.name, stop: await restart(part) });
      if (cluster.routers.some(({ process }) => process === part.process)) await pause(ROUTER_PAUSE_MS);
    }
    progress(`round ${rounds + 1}: ${restarts.length} restarts, ${load.records.length} requests, ${load.failed.length} failed`);
  }
  over.abort();
  await running;
  const violations = [...(await load.judge()), ...restarts.flatMap(unclean)];
  const first = load.records.flatMap(({ attempt, lateMs }) => (attempt.firstPieceMs === undefined ? [] : [attempt.firstPieceMs + lateMs]));
  const stops = Object.entries(Object.groupBy(restarts, ({ name }) => name.split("-")[0]!)).map(
    ([kind, some]) => [`${kind}_stop_max_s`, Math.max(...some!.map(({ stop }) => stop.tookMs)) / 1000] as const,
  );
  return {
    figures: {
      requests: load.records.length,
      failed: load.failed.length,
      rounds,
      restarts: restarts.length,
      http_requests_tried_again: load.records.filter(({ tries }) => tries > 1).length,
      ttft_p50_ms: quantile(first, 0.5),
      ttft_p99_ms: p99(first),
      ...Object.fromEntries(stops),
    },
    violations,
  };
}

function partsOf({ nodes, routers, schedulers, redis }: LiveCluster, oneOfEach: boolean): readonly Part[] {
  const all: readonly (readonly Part[])[] = [nodes, routers, schedulers, redis ? [{ process: redis }] : []];
  return all.flatMap((kind) => (oneOfEach ? kind.slice(0, 1) : kind));
}

/** The next one's turn comes when this one says that it is ready, as an orchestrator does it. */
async function restart({ process, ready }: Part): Promise<Stop> {
  const stop = await process.restart();
  await waitUntil(`${process.name} to be ready again`, READY_MS_MAX, async () =>
    ready === undefined ? process.pid !== undefined : (await fetch(ready)).ok,
  );
  return stop;
}

function unclean({ name, stop: { ended, lastWords } }: Restart): readonly Violation[] {
  return ended === "exit code 0" ? [] : [{ rule: "exit", what: `${name} was told to stop and ended with ${ended}: ${lastWords}` }];
}
