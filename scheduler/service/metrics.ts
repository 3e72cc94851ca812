import { Counter, Gauge, type Registry } from "prom-client";
import type { NodeState, Snapshot } from "#kernel";

export interface SchedulerMetrics {
  reported(result: "accepted" | "rejected"): void;
}

const STATES: readonly NodeState[] = ["starting", "ready", "draining"];

/** Registers the scheduler's metrics; gauges are read when they are scraped. */
export function createSchedulerMetrics(
  registry: Registry,
  read: { readonly snapshot: () => Snapshot; readonly watchers: () => number },
): SchedulerMetrics {
  const registers = [registry];
  new Gauge({
    name: "deltaplane_nodes",
    help: "Nodes in the cluster, by state.",
    labelNames: ["state"],
    registers,
    collect() {
      const nodes = [...read.snapshot().nodes.values()];
      for (const state of STATES) this.set({ state }, nodes.filter((node) => node.state === state).length);
    },
  });
  new Gauge({
    name: "deltaplane_snapshot_version",
    help: "Version of the cluster snapshot; starts again with the scheduler.",
    registers,
    collect() {
      this.set(read.snapshot().version);
    },
  });
  new Gauge({
    name: "deltaplane_snapshot_watchers",
    help: "Routers that follow the snapshot.",
    registers,
    collect() {
      this.set(read.watchers());
    },
  });
  const reports = new Counter({
    name: "deltaplane_node_reports_total",
    help: "Reports of nodes, by what became of them.",
    labelNames: ["result"],
    registers,
  });
  return { reported: (result) => reports.inc({ result }) };
}
