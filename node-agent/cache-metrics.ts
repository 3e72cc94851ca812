import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { DeltaCache, TierObserver } from "./delta-cache/index.ts";

/** From a small delta in the page cache to a large one over the network. */
const LOAD_BUCKETS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

/** What the delta cache does, by tier. `cache`: for the sizes, read when the metrics are. */
export function createCacheMetrics(registry: Registry, cache: () => DeltaCache | undefined): TierObserver {
  const registers = [registry];
  const labelNames = ["tier"];
  const hits = new Counter({ name: "deltaplane_delta_cache_hits_total", help: "Deltas found in a tier.", labelNames, registers });
  const misses = new Counter({ name: "deltaplane_delta_cache_misses_total", help: "Deltas not found in a tier.", labelNames, registers });
  const evictions = new Counter({
    name: "deltaplane_delta_cache_evictions_total",
    help: "Deltas evicted from a tier.",
    labelNames,
    registers,
  });
  const failures = new Counter({
    name: "deltaplane_delta_load_failures_total",
    help: "Loads into a tier that failed.",
    labelNames,
    registers,
  });
  const loads = new Histogram({
    name: "deltaplane_delta_load_seconds",
    help: "From asking for a delta to having it in the tier.",
    labelNames,
    buckets: LOAD_BUCKETS,
    registers,
  });
  new Gauge({
    name: "deltaplane_delta_cache_bytes",
    help: "Bytes that a tier's deltas take, loading and leaving ones included.",
    labelNames,
    registers,
    collect() {
      const status = cache()?.status;
      this.set({ tier: "slot" }, slotBytes(cache()));
      this.set({ tier: "ram" }, status?.ram.used ?? 0);
      this.set({ tier: "disk" }, status?.disk.used ?? 0);
    },
  });
  return (event) => {
    const { tier } = event;
    if (event.kind === "hit") hits.inc({ tier });
    else if (event.kind === "miss") misses.inc({ tier });
    else if (event.kind === "evicting") evictions.inc({ tier });
    else if (event.kind === "failed") failures.inc({ tier });
    else if (event.kind === "ready" && event.loadMs > 0) loads.observe({ tier }, event.loadMs / 1000);
  };
}

function slotBytes(cache: DeltaCache | undefined): number {
  const deltas = [...(cache?.residency.all().values() ?? [])];
  return deltas.reduce((sum, { tier, sizeBytes }) => sum + (tier === "slot" ? sizeBytes : 0), 0);
}
