import type { Dashboard } from "../dashboard.ts";
import { quantile, rate, share } from "./queries.ts";

export const CLUSTER: Dashboard = {
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
