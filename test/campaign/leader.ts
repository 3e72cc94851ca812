import type { LiveCluster } from "./live-cluster.ts";
import type { LiveScheduler } from "./live-parts.ts";
import { type LoadFigures, p99 } from "./load-figures.ts";
import { pause, waitUntil } from "./patience.ts";
import { scrape } from "./prometheus-text.ts";
import type { SteadyLoad } from "./steady-load.ts";

export interface LeaderOptions {
  readonly ratePerSecond: number;
  /** How often the scheduler that leads is killed. */
  readonly times: number;
  readonly progress?: (line: string) => void;
}

const LEADER_MS_MAX = 30_000;
/** Until the killed one is back and the cluster is as before. */
const SETTLED_MS = 5_000;
/** After the last one: what the change of leader does to requests has been done. */
const NOTICED_MS = 1_000;

/** Kills the scheduler that leads, under load, with SIGKILL: nobody may notice, and another one leads soon. */
export async function checkLeader(cluster: LiveCluster, load: SteadyLoad, options: LeaderOptions): Promise<LoadFigures> {
  const { ratePerSecond, times, progress = () => undefined } = options;
  const over = new AbortController();
  const running = load.run(ratePerSecond, over.signal);
  const vacancies: number[] = [];
  for (let time = 0; time < times; time++) {
    const leader = await leaderOf(cluster);
    const { pid } = leader.process;
    leader.process.kill();
    const killedMs = performance.now();
    await leaderOf(cluster, pid);
    vacancies.push(performance.now() - killedMs);
    progress(`${time + 1} of ${times}: a scheduler led again after ${Math.round(vacancies.at(-1)!)} ms`);
    await pause(time + 1 < times ? SETTLED_MS : NOTICED_MS);
  }
  over.abort();
  await running;
  const violations = await load.judge();
  return {
    figures: {
      times,
      requests: load.records.length,
      failed: load.failed.length,
      new_leader_max_s: Math.max(...vacancies) / 1000,
      new_leader_mean_s: vacancies.reduce((sum, ms) => sum + ms, 0) / vacancies.length / 1000,
      ttft_p99_ms: p99(load.records.flatMap(({ attempt }) => attempt.firstPieceMs ?? [])),
    },
    violations,
  };
}

/** The scheduler that says it leads, and is not the process that was just killed; its next life may be. */
async function leaderOf({ schedulers }: LiveCluster, killedPid?: number): Promise<LiveScheduler> {
  let leader: LiveScheduler | undefined;
  await waitUntil("a scheduler to lead", LEADER_MS_MAX, async () => {
    for (const scheduler of schedulers) if (scheduler.process.pid !== killedPid && (await leads(scheduler))) leader = scheduler;
    return leader !== undefined;
  });
  return leader!;
}

async function leads({ metrics }: LiveScheduler): Promise<boolean> {
  return ((await scrape(metrics).catch(() => undefined))?.sum("deltaplane_scheduler_leads") ?? 0) > 0;
}
