import type { Dashboard } from "../dashboard.ts";
import { quantile, rate } from "./queries.ts";

export const FINE_TUNING: Dashboard = {
  name: "fine-tuning",
  title: "Fine-tuning",
  rows: [
    {
      title: "Training (a job's own curves are in the console and in its events)",
      panels: [
        {
          title: "Trained tokens, charged in the last day",
          unit: "short",
          kind: "stat",
          curves: [["tokens", 'sum(increase(deltaplane_tokens_total{job="router", kind="training"}[1d]))']],
        },
        {
          title: "Trained tokens, by base, each hour",
          description: "A job is counted when it ends.",
          unit: "short",
          wide: true,
          curves: [["{{base}}", 'sum by (base) (increase(deltaplane_tokens_total{job="router", kind="training"}[1h]))']],
        },
      ],
    },
    {
      title: "What new models do to serving",
      panels: [
        {
          title: "Deltas loaded from a router",
          unit: "ops",
          wide: true,
          curves: [["loads", rate("deltaplane_delta_load_seconds_count", "", 'job="node-agent", tier="disk"')]],
        },
        {
          title: "Time to load them",
          unit: "s",
          wide: true,
          curves: [["p99", quantile(0.99, "deltaplane_delta_load_seconds", "", 'job="node-agent", tier="disk"')]],
        },
        {
          title: "Cold starts",
          unit: "reqps",
          wide: true,
          curves: [["cold", rate("deltaplane_time_to_first_token_seconds_count", "", 'job="router", residency="cold"')]],
        },
      ],
    },
  ],
};
