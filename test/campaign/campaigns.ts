import { type BenchReport, createReport } from "#bench";
import { setPrices } from "./customers.ts";
import { runKillStorm } from "./kill-storm.ts";
import { startLiveCluster } from "./live-cluster.ts";
import { brokenBounds, LOAD_CAMPAIGNS, type LoadCampaign } from "./load-campaigns.ts";
import type { Violation } from "./storm-check.ts";
import { stormReport } from "./storm-report.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly kills: number;
  /** Of each measured phase. */
  readonly seconds: number;
  readonly store: "redis" | "embedded";
  readonly progress: (line: string) => void;
}

export interface CampaignResult {
  readonly report: BenchReport;
  readonly violations: readonly Violation[];
}

type Campaign = (options: CampaignOptions) => Promise<CampaignResult>;

async function killStorm(options: CampaignOptions): Promise<CampaignResult> {
  const storm = await runKillStorm(options);
  return { report: await stormReport(storm), violations: storm.violations };
}

function loadCampaign(name: string, { check, bounds, engine }: LoadCampaign): Campaign {
  return async ({ seed, seconds, store, progress }) => {
    const routers = store === "redis" ? 2 : 1;
    await using cluster = await startLiveCluster({ store, seed, nodes: 1, nodesYield: true, routers, ...engine });
    progress(`seed ${seed}: the cluster runs in ${cluster.folder}`);
    await setPrices(cluster);
    const { figures, violations } = await check(cluster, { seed, seconds });
    const lines = Object.entries(figures).map(([figure, value]) => ({ figure, value }));
    const broken = brokenBounds(figures, bounds).map((what) => ({ rule: name, what }));
    const report = await createReport(name, lines, { seed, ...figures, violations: violations.length });
    return { report, violations: [...violations, ...broken] };
  };
}

/** What `main.ts` can run, by name. */
export const CAMPAIGNS: Readonly<Record<string, Campaign>> = {
  "kill-storm": killStorm,
  ...Object.fromEntries(Object.entries(LOAD_CAMPAIGNS).map(([name, campaign]) => [name, loadCampaign(name, campaign)])),
};
