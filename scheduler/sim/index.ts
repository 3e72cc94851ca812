export {
  COMPARISON_DEFAULTS,
  type ComparedPolicy,
  type Comparison,
  type ComparisonOptions,
  compare,
  compareOnSeed,
  joinSeeds,
  type Metric,
  type SeedComparison,
  type SeedRun,
} from "./comparison.ts";
export { confidence, type Interval } from "./confidence.ts";
export type { DeltaCatalog, Workload } from "./delta-catalog.ts";
export { type SimFault, standardFaults } from "./fault-plan.ts";
export { NODE_MODELS, type NodeModel, TIER_NAMES } from "./node-model.ts";
export { placementSuite, type SuiteCell, type SuiteOptions } from "./placement-suite.ts";
export { barPlot } from "./plot.ts";
export { POLICIES } from "./policies/index.ts";
export type { Policy, RunningPolicy, SimAsk, SimCluster } from "./policy.ts";
export { figuresOf, type SimFigures } from "./sim-figures.ts";
export { type SimOptions, type SimRun, simulate } from "./simulator.ts";
export { type StripPoint, type StripRow, stripPlot } from "./strip-plot.ts";
export { type SuiteVerdict, verdictOf } from "./suite-verdict.ts";
export { type PictureSize, svgPicture, svgText } from "./svg.ts";
export type { Waits } from "./waits.ts";
export { ARRIVALS, type ArrivalsName } from "./workloads/arrivals.ts";
export { readTrace, type TraceRequest } from "./workloads/trace-file.ts";
export { createTraceWorkload, createWorkload, type WorkloadOptions } from "./workloads/workload.ts";
