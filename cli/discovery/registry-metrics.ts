import { Counter, Gauge, type Registry } from "prom-client";
import { type Millis, SECOND } from "#kernel";

export interface RegistryMetrics {
  failed(): void;
  /** `ageMs` is read when the metrics are. */
  follow(ageMs: () => Millis | undefined): void;
}

/** Registers what is known of the registry in which a cluster's parts find each other: once per process that has one. */
export function createRegistryMetrics(registry: Registry): RegistryMetrics {
  const registers = [registry];
  let ageMs: () => Millis | undefined = () => undefined;
  new Gauge({
    name: "deltaplane_registry_staleness_seconds",
    help: "Since the registry of the cluster's parts last answered; infinite before the first time.",
    registers,
    collect() {
      this.set((ageMs() ?? Number.POSITIVE_INFINITY) / SECOND);
    },
  });
  const failures = new Counter({ name: "deltaplane_registry_failures_total", help: "Times that the registry did not answer.", registers });
  return {
    failed: () => failures.inc(),
    follow(read) {
      ageMs = read;
    },
  };
}
