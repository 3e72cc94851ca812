import { createReport } from "#bench";
import type { CampaignOptions, CampaignResult } from "./campaigns.ts";
import { checkLeader } from "./leader.ts";
import { type LiveCluster, startLiveCluster } from "./live-cluster.ts";
import { type Bound, brokenBounds } from "./load-campaigns.ts";
import type { LoadFigures } from "./load-figures.ts";
import { checkRedisAway } from "./redis-away.ts";
import { checkRollingRestart } from "./rolling-restart.ts";
import { SteadyLoad } from "./steady-load.ts";
import { checkStoppedNode } from "./stopped-node.ts";

/** What a cluster must survive, each with all of its processes on one machine, and TLS between them. */
interface ResilienceCampaign {
  readonly check: (cluster: LiveCluster, load: SteadyLoad, options: CampaignOptions) => Promise<LoadFigures>;
  readonly bounds: readonly Bound[];
}

/** A quarter of what such a cluster answers on two cores: what fails here fails for want of care, not of room. */
const RATE_PER_SECOND = 50;
const ROLLING_REQUESTS = 50_000;
const SECONDS_AWAY = 30;
const FREEZES = 10;
const DETECTED_MS_MAX = 2_000;
/** When all its streams go on at once, the last waits until the others' texts are computed again: two cores for three nodes. */
const SILENCE_MS_MAX = 3_000;
const LEADERS_KILLED = 10;
const LEADERLESS_S_MAX = 5;

const CAMPAIGNS: Readonly<Record<string, ResilienceCampaign>> = {
  "rolling-restart": {
    check: (cluster, load, { progress, ratePerSecond = RATE_PER_SECOND, requests = ROLLING_REQUESTS }) =>
      checkRollingRestart(cluster, load, { progress, ratePerSecond, requests }),
    bounds: [
      { figure: "requests", atLeast: ROLLING_REQUESTS },
      { figure: "failed", atMost: 0 },
    ],
  },
  leader: {
    check: (cluster, load, { progress, ratePerSecond = RATE_PER_SECOND }) =>
      checkLeader(cluster, load, { progress, ratePerSecond, times: LEADERS_KILLED }),
    bounds: [
      { figure: "failed", atMost: 0 },
      { figure: "new_leader_max_s", atMost: LEADERLESS_S_MAX },
    ],
  },
  "redis-away": {
    check: (cluster, load, { ratePerSecond = RATE_PER_SECOND }) => checkRedisAway(cluster, load, { ratePerSecond, seconds: SECONDS_AWAY }),
    bounds: [{ figure: "failed", atMost: 0 }],
  },
  "stopped-node": {
    check: (cluster, load, { progress }) => checkStoppedNode(cluster, load, { progress, times: FREEZES }),
    bounds: [
      { figure: "failed", atMost: 0 },
      { figure: "detected_max_ms", atMost: DETECTED_MS_MAX },
      { figure: "silence_max_ms", atMost: SILENCE_MS_MAX },
    ],
  },
};

/** Routers are given time to be noticed, as on a cluster; clients here notice by the closed connection. */
const NOTICE_SECONDS = 1;

export const RESILIENCE_CLUSTER = {
  store: "redis",
  schedulers: 2,
  routers: 2,
  nodes: 3,
  tls: true,
  noticeSeconds: NOTICE_SECONDS,
} as const;

function resilienceCampaign(name: string, { check, bounds }: ResilienceCampaign) {
  return async (options: CampaignOptions): Promise<CampaignResult> => {
    const { seed, progress } = options;
    await using cluster = await startLiveCluster({ ...RESILIENCE_CLUSTER, seed });
    progress(`seed ${seed}: the cluster runs in ${cluster.folder}`);
    using load = await SteadyLoad.prepare(cluster, seed);
    progress("customers and reference texts are ready");
    const { figures, violations } = await check(cluster, load, options);
    const rows = Object.entries(figures).map(([figure, value]) => ({ figure, value }));
    const broken = brokenBounds(figures, bounds).map((what) => ({ rule: name, what }));
    const report = await createReport(name, rows, { seed, ...figures, violations: violations.length });
    return { report, violations: [...violations, ...broken] };
  };
}

/** By name, as `main.ts` runs them. */
export const RESILIENCE_CAMPAIGNS = Object.fromEntries(
  Object.entries(CAMPAIGNS).map(([name, campaign]) => [name, resilienceCampaign(name, campaign)]),
);
