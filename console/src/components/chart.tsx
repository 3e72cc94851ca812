import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dark } from "./colour-scheme.ts";

export interface Series {
  readonly label: string;
  /** One value per x; null where there is none. */
  readonly values: readonly (number | null)[];
  /** Which of the six colours of lines; default: by its place. */
  readonly colour?: number;
  readonly dashed?: boolean;
  /** Bars instead of a line. */
  readonly bars?: boolean;
  /** Only points: values far apart from each other. */
  readonly points?: boolean;
}

interface ChartProps {
  /** What it shows, for those who don't see it. */
  readonly label: string;
  readonly x: readonly number[];
  readonly series: readonly Series[];
  readonly xLabel: string;
  /** The x are seconds since 1970. */
  readonly time?: boolean;
  readonly logX?: boolean;
  /** For values that are above zero. */
  readonly logY?: boolean;
  readonly format?: (value: number) => string;
  readonly heightPx?: number;
}

/** Lines or bars over a common x, with a legend that follows the pointer. Drawn anew when the colours of the page change. */
export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const shape = JSON.stringify([
    props.series.map(({ values, ...rest }) => rest),
    props.time,
    props.logX,
    props.logY,
    props.heightPx,
    dark.value,
  ]);
  // `shape` stands for everything but the values.
  useEffect(() => {
    const drawn = new uPlot(optionsOf(props, box.current!), dataOf(props), box.current!);
    plot.current = drawn;
    const resized = new ResizeObserver(([entry]) => drawn.setSize({ width: Math.floor(entry!.contentRect.width), height: drawn.height }));
    resized.observe(box.current!);
    return () => {
      resized.disconnect();
      drawn.destroy();
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(dataOf(props)), [props.x, props.series]);
  return <div class="chart" ref={box} role="img" aria-label={props.label} />;
}

function dataOf({ x, series }: ChartProps): uPlot.AlignedData {
  return [[...x], ...series.map(({ values }) => [...values])] as uPlot.AlignedData;
}

const AXIS_FONT = "12px ui-sans-serif, system-ui, sans-serif";
const POINTS_SHOWN_MAX = 40;

function optionsOf(
  { series, xLabel, time = false, logX = false, logY = false, format = String, heightPx = 220 }: ChartProps,
  box: HTMLElement,
): uPlot.Options {
  const colour = (name: string) => colourOf(box, name);
  const axis = { stroke: colour("--muted"), font: AXIS_FONT, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(box.clientWidth, 100),
    height: heightPx,
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    legend: { live: true },
    scales: { x: { time, ...(logX && { distr: 3 as const }) }, y: { ...(logY && { distr: 3 as const }) } },
    axes: [
      { ...axis, grid: { show: false } },
      {
        ...axis,
        size: 56,
        ...(logY && { grid: { ...axis.grid, filter: (_plot: uPlot, ticks: number[]) => ticks.map(decadeOnly) } }),
        values: (_plot, ticks) => ticks.map((tick: number | null) => (tick === null ? "" : format(tick))),
      },
    ],
    series: [
      { label: xLabel, ...(!time && { value: (_plot: uPlot, value: number | null) => (value === null ? "–" : String(value)) }) },
      ...series.map((each, index) => {
        const stroke = colour(`--line-${((each.colour ?? index) % 6) + 1}`);
        return {
          label: each.label,
          stroke,
          width: each.points ? 0 : 2,
          spanGaps: true,
          ...(each.dashed && { dash: [5, 4] }),
          ...(each.bars && { fill: stroke, width: 0, paths: uPlot.paths.bars!({ size: [0.7, 48], radius: 0.15 }) }),
          points: {
            show: each.bars ? false : (plot: uPlot, own: number) => each.points === true || isSparse(plot, own),
            size: 6,
            fill: stroke,
          },
          value: (_plot: uPlot, value: number | null) => (value === null ? "–" : format(value)),
        };
      }),
    ],
  };
}

/** Between the powers of ten the lines of a logarithmic grid only crowd. */
function decadeOnly(tick: number): number | null {
  return Number.isInteger(Math.round(Math.log10(tick) * 1_000) / 1_000) ? tick : null;
}

/** Few values are shown as points, too: between them nothing is known. */
function isSparse(plot: uPlot, series: number): boolean {
  const values = plot.data[series] as ArrayLike<number | null>;
  return Array.from(values).filter((value) => value !== null).length < POINTS_SHOWN_MAX;
}

/** A canvas knows no `light-dark()`: the browser is asked what a token is here and now. */
function colourOf(box: HTMLElement, token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${token})`;
  box.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
