import type { Dashboard } from "./dashboard.ts";

const quantile = (share: number, metric: string, by = "", where = 'job="router"') =>
  `histogram_quantile(${share}, sum by (le${by && `, ${by}`}) (rate(${metric}_bucket{${where}}[$__rate_interval])))`;
const rate = (metric: string, by = "", where = 'job="router"') => `sum${by && ` by (${by})`} (rate(${metric}{${where}}[$__rate_interval]))`;
const share = (some: string, all: string, by: string) => `${rate(some, by, 'job="node-agent"')} / ${rate(all, by, 'job="node-agent"')}`;

const CLUSTER: Dashboard = {
  name: "cluster",
  title: "Cluster",
  rows: [
    {
      title: "Promise",
      panels: [
        {
          title: "Failed of valid requests, 30 min",
          description: "The objective is 0.1 %.",
          unit: "percentunit",
          kind: "stat",
          curves: [["failed", "deltaplane:request_errors:ratio_rate30m"]],
        },
        { title: "Ready nodes", unit: "short", kind: "stat", curves: [["ready", 'max(deltaplane_nodes{state="ready"})']] },
        { title: "Requests", unit: "reqps", kind: "stat", curves: [["requests", rate("deltaplane_requests_total")]] },
        {
          title: "Tokens",
          unit: "short",
          kind: "stat",
          curves: [["tokens/s", 'sum(deltaplane:tokens:rate5m{kind=~"prompt|completion"})']],
        },
        { title: "Requests by end", unit: "reqps", wide: true, curves: [["{{code}}", rate("deltaplane_requests_total", "code")]] },
        {
          title: "Time to first token",
          unit: "s",
          wide: true,
          curves: [
            ["p50 {{residency}}", quantile(0.5, "deltaplane_time_to_first_token_seconds", "residency")],
            ["p99 {{residency}}", quantile(0.99, "deltaplane_time_to_first_token_seconds", "residency")],
          ],
        },
        {
          title: "Between tokens",
          unit: "s",
          wide: true,
          curves: [
            ["p50", quantile(0.5, "deltaplane_inter_token_seconds")],
            ["p99", quantile(0.99, "deltaplane_inter_token_seconds")],
          ],
        },
        {
          title: "Waiting",
          unit: "short",
          wide: true,
          curves: [
            ["no first token yet, {{pod}}", 'sum by (pod) (deltaplane_queue_depth{job="router"})'],
            ["no node yet, {{pod}}", "sum by (pod) (deltaplane_fair_queue_depth)"],
          ],
        },
      ],
    },
    {
      title: "Nodes",
      panels: [
        {
          title: "Waiting for a base to wake",
          unit: "short",
          wide: true,
          curves: [["{{base}}", "sum by (base) (deltaplane_waiting_room_requests)"]],
        },
        { title: "Nodes by state", unit: "short", wide: true, curves: [["{{state}}", "max by (state) (deltaplane_nodes)"]] },
        {
          title: "Rows in the batch",
          unit: "short",
          wide: true,
          curves: [["{{pod}} {{base}}", "sum by (pod, base) (deltaplane_batch_rows)"]],
        },
        {
          title: "KV cache in use",
          unit: "percentunit",
          wide: true,
          curves: [["{{pod}} {{model_name}}", "max by (pod, model_name) (vllm:kv_cache_usage_perc)"]],
        },
        {
          title: "Choices of a node, by what decided",
          unit: "reqps",
          wide: true,
          curves: [["{{reason}}", rate("deltaplane_placement_decisions_total", "reason")]],
        },
        {
          title: "Engine memory",
          unit: "bytes",
          wide: true,
          curves: [
            ["{{pod}} {{base}} {{term}}", "max by (pod, base, term) (deltaplane_engine_memory_bytes)"],
            ["{{pod}} may hold", "max by (pod) (deltaplane_engine_memory_limit_bytes)"],
          ],
        },
        {
          title: "Engines by device",
          unit: "short",
          wide: true,
          curves: [["{{provider}} {{weights}} {{device}}", "sum by (provider, weights, device) (deltaplane_engine_info)"]],
        },
        {
          title: "Of prompts, found among kept prefixes",
          unit: "percentunit",
          wide: true,
          curves: [["{{model_name}}", share("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total", "model_name")]],
        },
      ],
    },
    {
      title: "Parts",
      panels: [
        { title: "Event loop, p99 lag", unit: "s", wide: true, curves: [["{{pod}}", "max by (pod) (nodejs_eventloop_lag_p99_seconds)"]] },
        { title: "Memory", unit: "bytes", wide: true, curves: [["{{pod}}", "max by (pod) (process_resident_memory_bytes)"]] },
        {
          title: "Reports of nodes",
          unit: "reqps",
          wide: true,
          curves: [["{{result}}", rate("deltaplane_node_reports_total", "result", 'job="scheduler"')]],
        },
        { title: "Who leads", unit: "short", wide: true, curves: [["{{pod}}", "max by (pod) (deltaplane_scheduler_leads)"]] },
        {
          title: "Since the API server was heard",
          unit: "s",
          wide: true,
          curves: [["{{pod}} {{watch}}", "max by (pod, watch) (deltaplane_kubernetes_staleness_seconds)"]],
        },
        {
          title: "Certificates: time left",
          unit: "s",
          wide: true,
          curves: [["{{job}} {{use}}", "min by (job, use) (deltaplane_tls_certificate_expiry_timestamp_seconds) - time()"]],
        },
        {
          title: "Custom resources reconciled",
          unit: "ops",
          wide: true,
          curves: [["{{kind}} {{result}}", rate("deltaplane_controller_reconciles_total", "kind, result", 'job="scheduler"')]],
        },
        { title: "Routers on the feed", unit: "short", wide: true, curves: [["{{pod}}", "max by (pod) (deltaplane_snapshot_watchers)"]] },
      ],
    },
  ],
};

const DELTAS: Dashboard = {
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

const TENANTS: Dashboard = {
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

const MONEY: Dashboard = {
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

const FINE_TUNING: Dashboard = {
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

/** Cluster, deltas, tenants, money, fine-tuning. */
export const DASHBOARDS: readonly Dashboard[] = [CLUSTER, DELTAS, TENANTS, MONEY, FINE_TUNING];
