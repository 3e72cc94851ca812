import { Counter, Gauge, type Registry } from "prom-client";
import type { NodeState, Snapshot } from "#kernel";

export interface SchedulerMetrics {
  reported(result: "accepted" | "rejected"): void;
  moved(kind: "copy" | "give_up" | "move"): void;
  ordered(kind: "load" | "unload" | "drain", result: "done" | "failed"): void;
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
  new Gauge({
    name: "deltaplane_placement_nodes_wanted",
    help: "How many nodes a base should have, by what it is asked for.",
    labelNames: ["base"],
    registers,
    collect() {
      this.reset();
      for (const { name, nodesWanted } of read.snapshot().plan?.bases.values() ?? []) this.set({ base: name }, nodesWanted);
    },
  });
  new Gauge({
    name: "deltaplane_scheduler_leads",
    help: "1 at the scheduler that acts, 0 at those that watch.",
    registers,
    collect() {
      this.set((read.snapshot().plan?.leaderEpoch ?? 0) > 0 ? 1 : 0);
    },
  });
  new Gauge({
    name: "deltaplane_placement_copies",
    help: "Deltas that are wanted elsewhere than at their home alone. 0 where a scheduler only watches.",
    registers,
    collect() {
      this.set(read.snapshot().plan?.copies.size ?? 0);
    },
  });
  const moves = new Counter({
    name: "deltaplane_placement_moves_total",
    help: "Changes of where deltas are wanted: copy, give_up, move.",
    labelNames: ["kind"],
    registers,
  });
  const orders = new Counter({
    name: "deltaplane_placement_orders_total",
    help: "Orders to nodes, by what became of them.",
    labelNames: ["kind", "result"],
    registers,
  });
  const reports = new Counter({
    name: "deltaplane_node_reports_total",
    help: "Reports of nodes, by what became of them.",
    labelNames: ["result"],
    registers,
  });
  return {
    reported: (result) => reports.inc({ result }),
    moved: (kind) => moves.inc({ kind }),
    ordered: (kind, result) => orders.inc({ kind, result }),
  };
}
