import { svgPicture, svgText } from "#scheduler/sim";

export interface PlottedLine {
  readonly name: string;
  /** Ascending in x, which is above 0. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 720;
const HEIGHT = 420;
const LEFT = 70;
const RIGHT = 30;
const TOP = 40;
const AXIS = 50;
const LEGEND_LINE = 18;
const TICKS = 4;
const COLORS = ["#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#495057"] as const;

/** Lines over the number of examples, on a logarithmic axis, as SVG text. Empty lines are only named. */
export function curvePlot(title: string, lines: readonly PlottedLine[]): string {
  const points = lines.flatMap((line) => line.points);
  const x = axis(
    points.map(([examples]) => Math.log2(examples)),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = axis(
    points.map(([, value]) => value),
    HEIGHT - AXIS,
    TOP,
  );
  const sizes = [...new Set(points.map(([examples]) => examples))];
  const values = Array.from({ length: TICKS + 1 }, (_, tick) => y.low + ((y.high - y.low) * tick) / TICKS);
  const drawn = [
    ...sizes.map((size) => `<text x="${x.at(Math.log2(size))}" y="${HEIGHT - AXIS + 18}" text-anchor="middle">${size}</text>`),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - AXIS + 36}" text-anchor="middle">training examples (logarithmic)</text>`,
    ...values.flatMap((value) => [
      `<path d="M${LEFT} ${y.at(value)}H${WIDTH - RIGHT}" stroke="#dee2e6"/>`,
      `<text x="${LEFT - 8}" y="${Number(y.at(value)) + 4}" text-anchor="end">${value.toPrecision(3)}</text>`,
    ]),
    ...lines.flatMap((line, index) => drawLine(line, index, x, y)),
  ];
  return svgPicture(title, { width: WIDTH, height: HEIGHT + LEGEND_LINE * lines.length, left: LEFT }, drawn);
}

function drawLine({ name, points }: PlottedLine, index: number, x: Axis, y: Axis): readonly string[] {
  const color = COLORS[index % COLORS.length]!;
  const places = points.map(([examples, value]) => [x.at(Math.log2(examples)), y.at(value)] as const);
  const legend = HEIGHT + LEGEND_LINE * index;
  return [
    `<polyline points="${places.map((place) => place.join(",")).join(" ")}" fill="none" stroke="${color}" stroke-width="2"/>`,
    ...places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${color}"/>`),
    `<rect x="${LEFT}" y="${legend - 10}" width="10" height="10" fill="${color}"/>`,
    `<text x="${LEFT + 16}" y="${legend}">${svgText(name)}</text>`,
  ];
}

interface Axis {
  readonly low: number;
  readonly high: number;
  at(value: number): string;
}

/** From the least value at `begin` to the largest at `end`; a single value lies at the beginning. */
function axis(values: readonly number[], begin: number, end: number): Axis {
  const [low, high] = values.length === 0 ? [0, 1] : [Math.min(...values), Math.max(...values)];
  const share = (value: number) => (high === low ? 0 : (value - low) / (high - low));
  return { low, high, at: (value) => (begin + share(value) * (end - begin)).toFixed(1) };
}
