import { Counter, Gauge, type Registry } from "prom-client";
import type { EngineLoad } from "./engine/index.ts";
import type { HostedBases } from "./hosted-bases.ts";

/** One number, or one per value of a further label; undefined: this engine has none of it. */
type Read = (load: EngineLoad) => number | Readonly<Record<string, number>> | undefined;

export interface BaseMetric {
  readonly name: string;
  readonly help: string;
  /** By which the base is called. Default `base`; vLLM's is `model_name`. */
  readonly baseLabel?: string;
  /** Of what `read` gives by name. */
  readonly partLabel?: string;
  readonly read: Read;
}

export interface BaseMetrics {
  gauge(metric: BaseMetric): void;
  /** An engine counts from its own start, as a process does. */
  counter(metric: BaseMetric): void;
}

/**
 * Metrics per base, read from its engine whenever they are asked for. A base whose engine is being started again has no
 * series, but `deltaplane_engine_info`, which is 0 then: nothing is known of an engine that is not there.
 */
export function createBaseMetrics(registry: Registry, bases: HostedBases): BaseMetrics {
  const registers = [registry];
  const collect = (
    { baseLabel = "base", partLabel = "", read }: BaseMetric,
    tell: (labels: Record<string, string>, value: number) => void,
  ) => {
    for (const { info, engineLoad } of bases.all()) {
      const value = engineLoad && read(engineLoad);
      const labels = { [baseLabel]: info.name };
      if (typeof value === "number") tell(labels, value);
      else for (const [part, partValue] of Object.entries(value ?? {})) tell({ ...labels, [partLabel]: part }, partValue);
    }
  };
  const shape = ({ name, help, baseLabel = "base", partLabel }: BaseMetric) => {
    const labelNames = partLabel === undefined ? [baseLabel] : [baseLabel, partLabel];
    return { name, help, labelNames, registers };
  };
  return {
    gauge(metric) {
      new Gauge({
        ...shape(metric),
        collect() {
          this.reset();
          collect(metric, (labels, value) => this.set(labels, value));
        },
      });
    },
    counter(metric) {
      new Counter({
        ...shape(metric),
        collect() {
          this.reset();
          collect(metric, (labels, value) => this.inc(labels, value));
        },
      });
    },
  };
}
