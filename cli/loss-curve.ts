import { styleText } from "node:util";

/** One line of the plot. Points need not be sorted; those that are no numbers are left out. */
export interface CurveSeries {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface CurveOptions {
  /** Of the whole picture, axes included. */
  readonly columns: number;
  readonly rows: number;
  /** Without it (NO_COLOR, a pipe) only the marks tell the series apart. */
  readonly color: boolean;
}

/** Dots of a braille sign, by column and row; each sets one bit of U+2800. Source: Unicode, "Braille Patterns". */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const DOT_COLUMNS = 2;
const DOT_ROWS = 4;

/** The first series is dots, such as a loss at every step; the others are rare, such as validations, and get a mark each. */
const MARKS = ["⠶", "o", "x", "+", "*"] as const;
const COLORS = ["cyan", "yellow", "magenta", "green", "blue"] as const;

/** What is larger, and what is no number, is left out: sums and differences of what is drawn stay finite. */
const DRAWN_MAX = 1e100;
/** Narrower than this there is no curve to see. */
const PLOT_COLUMNS_MIN = 8;
const PLOT_ROWS_MIN = 2;

interface Cell {
  readonly text: string;
  readonly series: number;
}

interface Range {
  readonly low: number;
  readonly high: number;
}

/**
 * Draws series over a common pair of axes, as lines of text of at most `columns` characters: y labels, the plot in braille
 * dots, the x range, a legend. Where several points of the first series fall on one dot column, their mean is drawn.
 * Nothing to draw, or no room, gives no lines.
 */
export function lossCurve(series: readonly CurveSeries[], options: CurveOptions): readonly string[] {
  const finite = series.map(({ points }) => points.filter(([x, y]) => Math.abs(x) < DRAWN_MAX && Math.abs(y) < DRAWN_MAX));
  if (finite.every((points) => points.length === 0)) return [];
  const x = rangeOf(finite.flatMap((points) => points.map((point) => point[0])));
  const y = rangeOf(finite.flatMap((points) => points.map((point) => point[1])));
  const labels = [y.high, (y.high + y.low) / 2, y.low].map(shortNumber);
  const labelColumns = Math.max(...labels.map((label) => label.length));
  const columns = options.columns - labelColumns - 2;
  const rows = options.rows - 2;
  if (columns < PLOT_COLUMNS_MIN || rows < PLOT_ROWS_MIN) return [];

  const cells: (Cell | undefined)[][] = Array.from({ length: rows }, () => Array(columns).fill(undefined));
  drawDots(cells, finite[0] ?? [], x, y);
  for (const [index, points] of finite.entries()) if (index > 0) drawMarks(cells, points, index, x, y);

  const paint = (cell: Cell | undefined) => (cell === undefined ? " " : colored(cell.text, cell.series, options.color));
  const labelled = new Map([[0, labels[0]!], [rows - 1, labels[2]!], ...(rows > 4 ? [[rows >> 1, labels[1]!] as const] : [])]);
  const plot = cells.map((line, row) => {
    const label = labelled.get(row);
    return `${(label ?? "").padStart(labelColumns)} ${label === undefined ? "│" : "┤"}${line.map(paint).join("")}`;
  });
  return [...plot, ...footer(series, x, labelColumns, columns, options.color)];
}

function footer(series: readonly CurveSeries[], x: Range, labelColumns: number, columns: number, color: boolean): readonly string[] {
  const [from, to] = [shortNumber(x.low), shortNumber(x.high)];
  const axis = from + "─".repeat(Math.max(1, columns - from.length - to.length)) + to;
  const names: string[] = [];
  let room = labelColumns + 2 + columns;
  for (const [index, { name }] of series.entries()) {
    const text = `${MARKS[index % MARKS.length]} ${name}`;
    room -= text.length + 2;
    if (room >= 0) names.push(colored(text, index, color));
  }
  return [`${" ".repeat(labelColumns)} └${axis.slice(0, columns)}`, `  ${names.join("  ")}`];
}

/** Means by dot column, joined by vertical runs of dots where neighbours are far apart. */
function drawDots(cells: (Cell | undefined)[][], points: readonly (readonly [number, number])[], x: Range, y: Range): void {
  const [width, height] = [cells[0]!.length * DOT_COLUMNS, cells.length * DOT_ROWS];
  const sums = Array.from({ length: width }, () => ({ sum: 0, count: 0 }));
  for (const [px, py] of points) {
    const bin = sums[position(px, x, width)]!;
    bin.sum += py;
    bin.count += 1;
  }
  const bits = cells.map((line) => line.map(() => 0));
  let before: number | undefined;
  for (const [column, { sum, count }] of sums.entries()) {
    if (count === 0) continue;
    const dot = height - 1 - position(sum / count, y, height);
    const neighbour = column > 0 && sums[column - 1]!.count > 0 ? before! : dot;
    const [from, to] = neighbour < dot ? [neighbour + 1, dot] : [dot, Math.max(dot, neighbour - 1)];
    for (let row = from; row <= to; row++) bits[Math.floor(row / DOT_ROWS)]![column >> 1]! |= DOTS[column & 1]![row % DOT_ROWS]!;
    before = dot;
  }
  for (const [row, line] of bits.entries()) {
    for (const [column, bit] of line.entries()) if (bit > 0) cells[row]![column] = { text: String.fromCodePoint(0x2800 + bit), series: 0 };
  }
}

function drawMarks(
  cells: (Cell | undefined)[][],
  points: readonly (readonly [number, number])[],
  series: number,
  x: Range,
  y: Range,
): void {
  const [columns, rows] = [cells[0]!.length, cells.length];
  for (const [px, py] of points) {
    cells[rows - 1 - position(py, y, rows)]![position(px, x, columns)] = { text: MARKS[series % MARKS.length]!, series };
  }
}

/** 0 to `count` − 1. */
function position(value: number, { low, high }: Range, count: number): number {
  return high === low ? 0 : Math.min(count - 1, Math.floor(((value - low) / (high - low)) * count));
}

function rangeOf(values: readonly number[]): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return { low, high };
}

/** Three digits that count, at most eight characters. */
function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1);
  return Number.isInteger(value) ? String(value) : value.toPrecision(3).slice(0, 8);
}

function colored(text: string, series: number, color: boolean): string {
  return color ? styleText(COLORS[series % COLORS.length]!, text, { validateStream: false }) : text;
}
