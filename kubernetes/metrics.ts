import { Counter, Gauge, type Registry } from "prom-client";
import { type Millis, SECOND } from "#kernel";

export interface KubernetesMetrics {
  /** Counts a watch in until what it returns is called. `ageMs` is read when the metrics are. */
  watching(watch: string, ageMs: () => Millis | undefined): () => void;
  relisted(watch: string): void;
  watchFailed(watch: string): void;
  reconciled(kind: string, result: "ready" | "waiting" | "failed" | "drained"): void;
}

/** Registers the metrics of everything that talks to an API server: once per process. */
export function createKubernetesMetrics(registry: Registry): KubernetesMetrics {
  const registers = [registry];
  const ages = new Map<string, () => Millis | undefined>();
  new Gauge({
    name: "deltaplane_kubernetes_staleness_seconds",
    help: "Since the API server last said anything, by what is watched; infinite before the first time.",
    labelNames: ["watch"],
    registers,
    collect() {
      this.reset();
      for (const [watch, ageMs] of ages) this.set({ watch }, (ageMs() ?? Number.POSITIVE_INFINITY) / SECOND);
    },
  });
  const relists = new Counter({
    name: "deltaplane_kubernetes_relists_total",
    help: "Times that everything was listed, by what is watched.",
    labelNames: ["watch"],
    registers,
  });
  const failures = new Counter({
    name: "deltaplane_kubernetes_watch_failures_total",
    help: "Lists and watches that failed or stalled, by what is watched.",
    labelNames: ["watch"],
    registers,
  });
  const reconciles = new Counter({
    name: "deltaplane_controller_reconciles_total",
    help: "Custom resources that were compared with the catalogue, by kind and what came of it: ready, waiting, failed or drained.",
    labelNames: ["kind", "result"],
    registers,
  });
  return {
    watching(watch, ageMs) {
      ages.set(watch, ageMs);
      return () => ages.delete(watch);
    },
    relisted: (watch) => relists.inc({ watch }),
    watchFailed: (watch) => failures.inc({ watch }),
    reconciled: (kind, result) => reconciles.inc({ kind, result }),
  };
}
