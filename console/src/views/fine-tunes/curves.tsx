import { useMemo } from "preact/hooks";
import { Chart } from "../../components/chart.tsx";
import { Panel, percent } from "../../components/index.ts";
import type { JobEvent, Metrics } from "./job.ts";

/** One run in a plot. */
export interface CurvesOf {
  /** Before the name of each line; empty for a single run. */
  readonly name: string;
  readonly events: readonly JobEvent[];
}

interface Measure {
  readonly title: string;
  readonly train: string;
  readonly valid: string;
  readonly format: (value: number) => string;
  /** Most of a loss is gone in the first steps; what comes then is seen by its ratio. */
  readonly log: boolean;
}

const MEASURES: readonly Measure[] = [
  { title: "Loss", train: "train_loss", valid: "valid_loss", format: (value) => String(Number(value.toPrecision(2))), log: true },
  {
    title: "Token accuracy",
    train: "train_mean_token_accuracy",
    valid: "valid_mean_token_accuracy",
    format: (value) => percent(value, 0),
    log: false,
  },
];

/** Loss and accuracy over the steps, of one run or of several: in training a line, on held-out examples a dashed one. */
export function Curves({ runs }: { readonly runs: readonly CurvesOf[] }) {
  const metrics = runs.map(({ name, events }) => ({ name, steps: useSteps(events) }));
  const x = [...new Set(metrics.flatMap(({ steps }) => [...steps.keys()]))].sort((one, other) => one - other);
  return (
    <div class="curves">
      {MEASURES.map((measure) => {
        const series = metrics.flatMap(({ name, steps }, colour) => linesOf(measure, name, steps, x, runs.length > 1 ? colour : undefined));
        return (
          <Panel key={measure.title} title={measure.title}>
            {x.length === 0 ? (
              <p class="hint">Comes with the first step.</p>
            ) : (
              <Chart
                label={`${measure.title} over the steps`}
                x={x}
                series={series}
                xLabel="step"
                format={measure.format}
                logY={measure.log}
              />
            )}
          </Panel>
        );
      })}
    </div>
  );
}

function useSteps(events: readonly JobEvent[]): ReadonlyMap<number, Metrics> {
  return useMemo(
    () => new Map(events.flatMap(({ type, data }) => (type === "metrics" ? [[data["step"] ?? 0, data] as const] : []))),
    [events],
  );
}

function linesOf(
  { train, valid }: Measure,
  name: string,
  steps: ReadonlyMap<number, Metrics>,
  x: readonly number[],
  colour: number | undefined,
) {
  const line = (field: string, label: string, own: number, dashed: boolean) => {
    const values = x.map((step) => steps.get(step)?.[field] ?? null);
    if (values.every((value) => value === null)) return [];
    return [{ label: `${name} ${label}`.trim(), values, colour: colour ?? own, dashed }];
  };
  return [...line(train, "training", 0, false), ...line(valid, "held out", 1, true)];
}
