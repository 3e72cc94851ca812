import type { Interval } from "./confidence.ts";
import { svgPicture, svgText } from "./svg.ts";

/** How one policy did in one row of the plot. */
export interface StripPoint {
  readonly kind: "ours" | "best" | "bound" | "other";
  readonly value: Interval;
  /** Written beside the point. */
  readonly label?: string;
}

export interface StripRow {
  readonly name: string;
  readonly points: readonly StripPoint[];
}

const WIDTH = 760;
const LEFT = 190;
const RIGHT = 30;
const TOP = 62;
const ROW_HEIGHT = 34;
const BOTTOM = 34;
const LEGEND = [
  ["ours", "ours"],
  ["best", "best other"],
  ["bound", "everything cached"],
  ["other", "other policies"],
] as const;
const COLOURS = { ours: "#0b7285", best: "#e8590c", bound: "#212529", other: "#ced4da" } as const;

/** A row for each case, a point for each policy on a common logarithmic axis, with 95 % intervals of those that are named, as SVG text. Values are above zero. */
export function stripPlot(title: string, rows: readonly StripRow[]): string {
  const height = TOP + rows.length * ROW_HEIGHT + BOTTOM;
  const values = rows.flatMap(({ points }) => points.map(({ value }) => value.mean));
  const at = logScale(Math.min(...values) / 1.15, Math.max(...values) * 1.15);
  const bottom = height - BOTTOM;
  const grid = ticks(Math.min(...values), Math.max(...values)).map((value) => {
    const x = at(value).toFixed(1);
    return `<path d="M${x} ${TOP - 8}V${bottom}" stroke="#e9ecef"/><text x="${x}" y="${bottom + 16}" text-anchor="middle" fill="#495057">${tickText(value)}</text>`;
  });
  const legend = LEGEND.map(([kind, text], index) => {
    const x = LEFT + index * 135;
    return `${mark(kind, x, 40)}<text x="${x + 10}" y="44" fill="#495057">${text}</text>`;
  });
  const drawn = rows.map(({ name, points }, index) => {
    const y = TOP + index * ROW_HEIGHT + ROW_HEIGHT / 2;
    const ordered = [...points].sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind));
    return [
      `<text x="${LEFT - 12}" y="${y + 4}" text-anchor="end">${svgText(name)}</text>`,
      ...ordered.map((point) => drawPoint(point, at, y)),
    ].join("\n");
  });
  return svgPicture(title, { width: WIDTH, height, left: LEFT }, [...grid, ...legend, ...drawn]);
}

/** What matters is drawn last, above the rest. */
const ORDER: readonly StripPoint["kind"][] = ["other", "bound", "best", "ours"];

function drawPoint({ kind, value, label }: StripPoint, at: (value: number) => number, y: number): string {
  const lines = [mark(kind, at(value.mean), y)];
  if (kind !== "other" && value.halfWidth > 0) {
    const [low, high] = [value.mean - value.halfWidth, value.mean + value.halfWidth].map((end) =>
      at(Math.max(end, value.mean / 10)).toFixed(1),
    );
    lines.push(`<path d="M${low} ${y}H${high}" stroke="${COLOURS[kind]}" stroke-width="2"/>`);
  }
  if (label)
    lines.push(
      `<text x="${at(value.mean).toFixed(1)}" y="${y - 8}" font-size="10" text-anchor="middle" fill="${COLOURS[kind]}">${svgText(label)}</text>`,
    );
  return lines.join("");
}

function mark(kind: StripPoint["kind"], x: number, y: number): string {
  const radius = kind === "other" ? 4 : 5.5;
  const fill = kind === "bound" ? "none" : COLOURS[kind];
  return `<circle cx="${x.toFixed(1)}" cy="${y}" r="${radius}" fill="${fill}" stroke="${COLOURS[kind]}" stroke-width="1.5"/>`;
}

function logScale(from: number, to: number): (value: number) => number {
  const [low, high] = [Math.log(from), Math.log(to)];
  return (value) => LEFT + (WIDTH - LEFT - RIGHT) * Math.min(1, Math.max(0, (Math.log(value) - low) / (high - low)));
}

/** 1, 2 and 5 of every power of ten; fewer where they would crowd. */
function ticks(from: number, to: number): readonly number[] {
  const steps = to / from > 300 ? [1] : to / from > 30 ? [1, 3] : [1, 2, 5];
  const values: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(from)); power <= to; power *= 10) values.push(...steps.map((step) => step * power));
  return values.filter((value) => value >= from / 1.1 && value <= to * 1.1);
}

function tickText(value: number): string {
  return value >= 1000 ? `${Number((value / 1000).toPrecision(2))}k` : String(Number(value.toPrecision(2)));
}
