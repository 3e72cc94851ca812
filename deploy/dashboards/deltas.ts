import type { Dashboard } from "../dashboard.ts";
import { quantile, rate } from "./queries.ts";

export const DELTAS: Dashboard = {
  name: "deltas",
  title: "Deltas",
  rows: [
    {
      title: "Tiers",
      panels: [
        {
          title: "Hits by tier",
          description: "Of lookups in the slots, in RAM and on disk.",
          unit: "percentunit",
          wide: true,
          curves: [["{{tier}}", "deltaplane:delta_cache_hit_ratio:rate5m"]],
        },
        {
          title: "Bytes by tier",
          unit: "bytes",
          wide: true,
          curves: [["{{pod}} {{tier}}", "sum by (pod, tier) (deltaplane_delta_cache_bytes)"]],
        },
        {
          title: "Evictions",
          unit: "ops",
          wide: true,
          curves: [["{{tier}}", rate("deltaplane_delta_cache_evictions_total", "tier", 'job="node-agent"')]],
        },
        {
          title: "Loading",
          unit: "s",
          wide: true,
          curves: [
            ["p50 {{tier}}", quantile(0.5, "deltaplane_delta_load_seconds", "tier", 'job="node-agent"')],
            ["p99 {{tier}}", quantile(0.99, "deltaplane_delta_load_seconds", "tier", 'job="node-agent"')],
          ],
        },
        {
          title: "Failed loads",
          unit: "ops",
          wide: true,
          curves: [["{{tier}}", rate("deltaplane_delta_load_failures_total", "tier", 'job="node-agent"')]],
        },
        {
          title: "First tokens by where the delta stood",
          unit: "reqps",
          wide: true,
          curves: [["{{residency}}", rate("deltaplane_time_to_first_token_seconds_count", "residency")]],
        },
      ],
    },
    {
      title: "Placement and store",
      panels: [
        { title: "Deltas wanted beside their home", unit: "short", wide: true, curves: [["copies", "max(deltaplane_placement_copies)"]] },
        {
          title: "Changes of place",
          unit: "ops",
          wide: true,
          curves: [["{{kind}}", rate("deltaplane_placement_moves_total", "kind", 'job="scheduler"')]],
        },
        {
          title: "Orders to nodes",
          unit: "ops",
          wide: true,
          curves: [["{{kind}} {{result}}", rate("deltaplane_placement_orders_total", "kind, result", 'job="scheduler"')]],
        },
        {
          title: "Requests to the store of deltas and files",
          unit: "ops",
          wide: true,
          curves: [["{{operation}} {{outcome}}", rate("deltaplane_blob_requests_total", "operation, outcome")]],
        },
        {
          title: "Bytes to and from it",
          unit: "Bps",
          wide: true,
          curves: [["{{direction}}", rate("deltaplane_blob_bytes_total", "direction")]],
        },
      ],
    },
    {
      title: "In the batch",
      panels: [
        {
          title: "Different deltas in the batch",
          unit: "short",
          wide: true,
          curves: [["{{pod}} {{base}}", "sum by (pod, base) (deltaplane_batch_deltas)"]],
        },
        {
          title: "Rows given up for others",
          unit: "ops",
          wide: true,
          curves: [["{{base}}", rate("deltaplane_rows_parked", "base", 'job="node-agent"')]],
        },
      ],
    },
  ],
};
