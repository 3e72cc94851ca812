/** The PromQL that panels have in common. `by`: labels with commas between; `where`: matchers, the routers' unless said otherwise. */

const ROUTERS = 'job="router"';
const NODES = 'job="node-agent"';

/** Of a histogram. */
export const quantile = (share: number, metric: string, by = "", where = ROUTERS) =>
  `histogram_quantile(${share}, sum by (le${by && `, ${by}`}) (rate(${metric}_bucket{${where}}[$__rate_interval])))`;

/** A counter's growth each second. */
export const rate = (metric: string, by = "", where = ROUTERS) => `sum${by && ` by (${by})`} (rate(${metric}{${where}}[$__rate_interval]))`;

/** Of all that nodes count in one counter, what they count in another. */
export const share = (some: string, all: string, by: string) => `${rate(some, by, NODES)} / ${rate(all, by, NODES)}`;
