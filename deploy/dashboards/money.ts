import type { Dashboard } from "../dashboard.ts";
import { rate } from "./queries.ts";

export const MONEY: Dashboard = {
  name: "money",
  title: "Money",
  rows: [
    {
      title: "What is sold (for watching; the bill is the ledger: `deltaplane billing verify`)",
      panels: [
        { title: "Tokens by kind", unit: "short", wide: true, curves: [["{{kind}}", "sum by (kind) (deltaplane:tokens:rate5m)"]] },
        {
          title: "Tokens by base",
          unit: "short",
          wide: true,
          curves: [["{{base}}", 'sum by (base) (deltaplane:tokens:rate5m{kind=~"prompt|completion"})']],
        },
        {
          title: "Prompt tokens from the cache",
          unit: "percentunit",
          wide: true,
          curves: [["cached", 'sum(deltaplane:tokens:rate5m{kind="cached"}) / sum(deltaplane:tokens:rate5m{kind="prompt"})']],
        },
        { title: "Refused for their budget", unit: "reqps", wide: true, curves: [["refused", rate("deltaplane_budget_rejections_total")]] },
      ],
    },
    {
      title: "Ledger",
      panels: [
        {
          title: "Claims on their way",
          description: "Durable where they are, not in the ledger yet. Should come back to zero.",
          unit: "short",
          wide: true,
          curves: [["{{pod}}", "sum by (pod) (deltaplane_ledger_claims_pending)"]],
        },
        { title: "Entries posted", unit: "ops", wide: true, curves: [["{{pod}}", rate("deltaplane_ledger_entries_total", "pod")]] },
        { title: "Late claims", unit: "ops", wide: true, curves: [["{{pod}}", rate("deltaplane_ledger_late_claims_total", "pod")]] },
        {
          title: "Somebody else wrote first",
          unit: "ops",
          wide: true,
          curves: [["{{pod}}", rate("deltaplane_ledger_conflicts_total", "pod")]],
        },
        {
          title: "Let in without the store",
          description: "Above zero Redis does not answer.",
          unit: "reqps",
          wide: true,
          curves: [["requests", rate("deltaplane_admission_total", "", 'job="router", outcome="admitted_without_store"')]],
        },
      ],
    },
  ],
};
