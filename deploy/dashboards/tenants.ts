import type { Dashboard } from "../dashboard.ts";
import { quantile, rate } from "./queries.ts";

export const TENANTS: Dashboard = {
  name: "tenants",
  title: "Tenants",
  rows: [
    {
      title: "Admission (no metric names a tenant: their number has no bound; `deltaplane usage` and the console tell who)",
      panels: [
        {
          title: "Let in, or why not",
          unit: "reqps",
          wide: true,
          curves: [["{{outcome}}", rate("deltaplane_admission_total", "outcome")]],
        },
        {
          title: "Refused, of all",
          unit: "percentunit",
          wide: true,
          curves: [
            [
              "refused",
              `1 - ${rate("deltaplane_admission_total", "", 'job="router", outcome=~"admitted|admitted_without_store|replayed"')} / ${rate("deltaplane_admission_total")}`,
            ],
          ],
        },
        {
          title: "Over a rate limit",
          unit: "reqps",
          wide: true,
          curves: [["refused", rate("deltaplane_admission_total", "", 'job="router", outcome="rate_exceeded"')]],
        },
        { title: "Over a budget", unit: "reqps", wide: true, curves: [["refused", rate("deltaplane_budget_rejections_total")]] },
      ],
    },
    {
      title: "Fairness",
      panels: [
        {
          title: "Waiting for a node",
          unit: "s",
          wide: true,
          curves: [
            ["p50", quantile(0.5, "deltaplane_queue_wait_seconds")],
            ["p99", quantile(0.99, "deltaplane_queue_wait_seconds")],
          ],
        },
        { title: "Requests that wait", unit: "short", wide: true, curves: [["{{pod}}", "sum by (pod) (deltaplane_fair_queue_depth)"]] },
      ],
    },
  ],
};
