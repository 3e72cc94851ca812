import { Counter, Gauge, type Registry } from "prom-client";
import { createBaseMetrics } from "./base-metrics.ts";
import type { LossKind } from "./engine/index.ts";
import type { HostedBases } from "./hosted-bases.ts";
import type { MemoryRoom } from "./memory-budget.ts";

/** Told when an engine of this node was lost, or did not start again. */
export type LossObserver = (base: string, reason: LossKind | "no_start") => void;

/** Losses are counted as they happen, also before anybody asks. */
export function createLossCounter(registry: Registry): LossObserver {
  const losses = new Counter({
    name: "deltaplane_engine_losses_total",
    help: "Engines that were lost or did not start again, each followed by another start.",
    labelNames: ["base", "reason"],
    registers: [registry],
  });
  return (base, reason) => losses.inc({ base, reason });
}

/** What engines compute with, what they hold there, and what goes over the bus. */
export function registerEngineMetrics(
  registry: Registry,
  bases: HostedBases,
  node: { readonly device: string; readonly room: MemoryRoom | undefined },
): void {
  const registers = [registry];
  new Gauge({
    name: "deltaplane_engine_info",
    help: "1 while the base's engine runs, 0 while it is being started again; what it computes with in the labels.",
    labelNames: ["base", "provider", "weights", "device"],
    registers,
    collect() {
      this.reset();
      for (const { info, compute, engineLoad } of bases.all())
        this.set({ base: info.name, ...compute, device: node.device }, engineLoad === undefined ? 0 : 1);
    },
  });
  new Gauge({
    name: "deltaplane_engine_memory_limit_bytes",
    help: "What all engines of this node may hold there together; 0: not known.",
    registers,
    collect() {
      this.set(node.room?.sizeBytes ?? 0);
    },
  });
  const perBase = createBaseMetrics(registry, bases);
  perBase.gauge({
    name: "deltaplane_engine_memory_bytes",
    help: "What the engine holds where it computes, by term of its budget.",
    partLabel: "term",
    read: ({ memory }) => ({ ...memory }),
  });
  perBase.counter({
    name: "deltaplane_engine_bus_bytes_total",
    help: "Bytes over the bus to the device (up) and back (down). None on the processor.",
    partLabel: "direction",
    read: ({ bus }) => bus && { up: bus.upBytes, down: bus.downBytes },
  });
}
