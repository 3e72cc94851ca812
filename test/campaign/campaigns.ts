import { type BenchReport, createReport } from "#bench";
import { startCluster } from "../cluster/running-cluster.ts";
import { measureBesideTraining } from "./beside-training.ts";
import { setPrices } from "./customers.ts";
import { runKillStorm } from "./kill-storm.ts";
import { startLiveCluster } from "./live-cluster.ts";
import { brokenBounds, LOAD_CAMPAIGNS, type LoadCampaign } from "./load-campaigns.ts";
import { RESILIENCE_CAMPAIGNS } from "./resilience-campaigns.ts";
import { compareWithSimulator } from "./simulator-comparison.ts";
import type { Violation } from "./storm-check.ts";
import { stormReport } from "./storm-report.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly kills: number;
  /** Of each measured phase. */
  readonly seconds: number;
  readonly store: "redis" | "embedded";
  /** Of a steady load, and how long a rolling restart goes on. Default: each campaign's own. */
  readonly ratePerSecond?: number;
  readonly requests?: number;
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

const BESIDE_TRAINING_BOUNDS = [{ figure: "itl_p99_ratio", atMost: 2 }];

/** On the embedded cluster, whose trainer takes what serving leaves over. */
async function besideTraining({ seconds }: CampaignOptions): Promise<CampaignResult> {
  await using cluster = await startCluster({ args: ["--nodes", "1"] });
  const figures = await measureBesideTraining(cluster, { seconds, pairs: 2 });
  const lines = Object.entries(figures).map(([figure, value]) => ({ figure, value }));
  const broken = brokenBounds(figures, BESIDE_TRAINING_BOUNDS).map((what) => ({ rule: "beside-training", what }));
  return { report: await createReport("beside-training", lines, figures), violations: broken };
}

/** On the embedded cluster with four nodes. `seconds`: of the whole workload, the warm-up included. */
async function simulatorComparison({ seed, seconds, progress }: CampaignOptions): Promise<CampaignResult> {
  const { rows, summary, violations } = await compareWithSimulator({ seed, seconds, progress });
  return { report: await createReport("simulator-comparison", rows, { seed, ...summary }), violations };
}

/** What `main.ts` can run, by name. */
export const CAMPAIGNS: Readonly<Record<string, Campaign>> = {
  "kill-storm": killStorm,
  "beside-training": besideTraining,
  "simulator-comparison": simulatorComparison,
  ...RESILIENCE_CAMPAIGNS,
  ...Object.fromEntries(Object.entries(LOAD_CAMPAIGNS).map(([name, campaign]) => [name, loadCampaign(name, campaign)])),
};
