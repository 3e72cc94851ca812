import type { Interval } from "./confidence.ts";
import { svgPicture, svgText } from "./svg.ts";

export interface Bar {
  readonly name: string;
  readonly value: Interval;
}

const WIDTH = 720;
const BAR_HEIGHT = 20;
const GAP = 6;
const LEFT = 160;
const RIGHT = 110;
const TOP = 40;
/** Beyond this ratio of the largest to the smallest a linear axis hides all but the worst. */
const LOGARITHMIC_FROM = 30;

/** A bar for each, with its 95 % interval, as SVG text. Values are not below zero. */
export function barPlot(title: string, bars: readonly Bar[]): string {
  const height = TOP + bars.length * (BAR_HEIGHT + GAP) + GAP;
  const scale = scaleOf(bars.map(({ value }) => value));
  const lines = bars.map(({ name, value }, index) => {
    const y = TOP + index * (BAR_HEIGHT + GAP);
    const middle = y + BAR_HEIGHT / 2;
    const [end, low, high] = [value.mean, value.mean - value.halfWidth, value.mean + value.halfWidth].map(scale.at);
    return [
      `<text x="${LEFT - 8}" y="${middle + 4}" text-anchor="end">${svgText(name)}</text>`,
      `<rect x="${LEFT}" y="${y}" width="${(end! - LEFT).toFixed(1)}" height="${BAR_HEIGHT}" fill="${name === "ours" ? "#0b7285" : "#adb5bd"}"/>`,
      `<path d="M${low!.toFixed(1)} ${middle}H${high!.toFixed(1)}" stroke="#212529" stroke-width="2"/>`,
      `<text x="${(Math.max(end!, high!) + 6).toFixed(1)}" y="${middle + 4}">${value.mean.toPrecision(3)}</text>`,
    ].join("\n");
  });
  return svgPicture(`${title}${scale.logarithmic ? " (logarithmic)" : ""}`, { width: WIDTH, height, left: LEFT }, lines);
}

function scaleOf(values: readonly Interval[]): { at(value: number): number; logarithmic: boolean } {
  const room = WIDTH - LEFT - RIGHT;
  const largest = Math.max(Number.MIN_VALUE, ...values.map(({ mean, halfWidth }) => mean + halfWidth));
  const smallest = Math.min(...values.map(({ mean }) => mean));
  const logarithmic = smallest > 0 && largest / smallest > LOGARITHMIC_FROM;
  if (!logarithmic) return { logarithmic, at: (value) => LEFT + (room * Math.max(0, value)) / largest };
  const [from, to] = [Math.log(smallest / 2), Math.log(largest)];
  return { logarithmic, at: (value) => LEFT + (room * Math.max(0, Math.log(Math.max(value, smallest / 2)) - from)) / (to - from) };
}
