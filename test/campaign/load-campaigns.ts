import { checkBackloggedTenants } from "./backlogged-tenants.ts";
import { checkBudget } from "./budget.ts";
import { checkCancels } from "./cancels.ts";
import { checkHotTenant } from "./hot-tenant.ts";
import type { LiveCluster, LiveClusterOptions } from "./live-cluster.ts";
import type { LoadFigures } from "./load-figures.ts";
import { checkOverload } from "./overload.ts";
import { checkRevocation } from "./revocation.ts";
import { checkStalledReaders } from "./stalled-readers.ts";

export interface LoadCampaignOptions {
  readonly seed: number;
  /** Of each measured phase. */
  readonly seconds: number;
}

type Figures = LoadFigures["figures"];

/** What a figure must come to on a machine that does nothing else; a function where the figures themselves say. */
export interface Bound {
  readonly figure: string;
  readonly atMost?: number | ((figures: Figures) => number);
  readonly atLeast?: number;
}

/** A check under load at its full length, and what it must come to. */
export interface LoadCampaign {
  readonly check: (cluster: LiveCluster, options: LoadCampaignOptions) => Promise<LoadFigures>;
  readonly bounds: readonly Bound[];
  /** Of each node's engine. Default: the node agent's own. */
  readonly engine?: Pick<LiveClusterOptions, "rows" | "prefillTokens">;
}

/** Whoever comes waits for the step under way and shares the next ones: who wants short waits keeps steps short. */
const SHORT_STEPS = { rows: 8, prefillTokens: 64 };
/** Half of the medians of a published trace of conversations (Azure's of 2023: 1,020 and 129): the demo base has room for 1,024 tokens. */
const CONVERSATION = { promptTokens: 510, answerTokens: 64 };
const CANCELS = 1_000;
const STALLED_READERS = 200;
/** Both doors cut after 30 s; before that every buffer has to fill, and rows are given to them in turns. */
const STALLED_SECONDS = 120;
/** They fill an engine's 32 rows (three ask for four choices), and nobody waits: a queue that has known its pace would turn most of the others away. */
const READ_BEFORE = 23;
const REVOCATIONS = 20;

export const LOAD_CAMPAIGNS: Readonly<Record<string, LoadCampaign>> = {
  "hot-tenant": {
    check: (cluster, options) => checkHotTenant(cluster, { ...options, ...CONVERSATION }),
    engine: SHORT_STEPS,
    bounds: [
      { figure: "light_ttft_ratio", atMost: 1.5 },
      { figure: "light_answered_share", atLeast: 1 },
    ],
  },
  "backlogged-tenants": {
    check: checkBackloggedTenants,
    bounds: [
      { figure: "jain", atLeast: 0.95 },
      { figure: "service_difference_max", atMost: (figures) => figures["service_difference_bound"]! },
    ],
  },
  overload: {
    check: checkOverload,
    bounds: [
      { figure: "goodput_share", atLeast: 0.9 },
      { figure: "shed_p99_ms", atMost: 50 },
    ],
  },
  "stalled-readers": {
    check: (cluster) => checkStalledReaders(cluster, { readers: STALLED_READERS, seconds: STALLED_SECONDS, readBefore: READ_BEFORE }),
    bounds: [
      { figure: "router_growth_mb", atMost: 100 },
      { figure: "node_growth_mb", atMost: 100 },
      { figure: "engine_growth_mb", atMost: 100 },
      { figure: "others_ttft_max_ms", atMost: 2_000 },
    ],
  },
  cancels: {
    check: (cluster, { seed }) => checkCancels(cluster, { seed, cancels: CANCELS }),
    bounds: [{ figure: "in_flight_per_cancel", atMost: 4 }],
  },
  budget: { check: (cluster) => checkBudget(cluster), bounds: [] },
  revocation: { check: (cluster) => checkRevocation(cluster, { times: REVOCATIONS }), bounds: [] },
};

/** The bounds that figures do not keep, in words. */
export function brokenBounds(figures: Figures, bounds: readonly Bound[]): readonly string[] {
  return bounds.flatMap(({ figure, atMost, atLeast }) => {
    const value = figures[figure]!;
    const most = typeof atMost === "function" ? atMost(figures) : atMost;
    if (most !== undefined && !(value <= most)) return [`${figure} is ${value}, and must be at most ${most}`];
    if (atLeast !== undefined && !(value >= atLeast)) return [`${figure} is ${value}, and must be at least ${atLeast}`];
    return [];
  });
}
