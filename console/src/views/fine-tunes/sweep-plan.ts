/** What a sweep varies besides the number of examples, and what the command line calls it. */
export const AXES = [
  { field: "n_epochs", label: "Epochs", word: "epochs" },
  { field: "learning_rate_multiplier", label: "Learning rates ×", word: "lr ×" },
  { field: "rank", label: "Ranks", word: "rank" },
] as const;

export type AxisField = (typeof AXES)[number]["field"];

/** Lists with commas between, as they are written. Empty: the usual sizes; of an axis: what the knobs say. */
export type SweepTexts = Readonly<Partial<Record<"sizes" | AxisField, string>>>;

/** One training of a sweep. */
export interface SweepCell {
  readonly examples: number;
  readonly values: Readonly<Partial<Record<AxisField, number>>>;
  /** By this the sweep's page, and `deltaplane ft sweep`, know what was compared. */
  readonly name: string;
}

/** Of one file. */
export interface SweepPlan {
  readonly cells: readonly SweepCell[];
  /** Records that nothing is trained on; none with a validation file. */
  readonly heldOut: number;
}

/** A field that can't be planned with, and why. */
export interface SweepProblem {
  readonly field: keyof SweepTexts;
  readonly why: string;
}

/** All of them wait at the router together, which takes 20 jobs of a tenant. */
const CELLS_MAX = 12;
/** As `deltaplane ft sweep` has it: most is trained on, and more than 500 records measure no better. */
const HELD_OUT_SHARE = 0.2;
const HELD_OUT_MAX = 500;
const USUAL_SHARES = [1 / 8, 1 / 4, 1 / 2, 1];

/** Every combination of what is written, small sizes first. `holdsOut`: a part of the records is to be measured on. */
export function planSweep(
  texts: SweepTexts,
  of: { readonly base: string; readonly records: number; readonly holdsOut: boolean },
): SweepPlan | SweepProblem {
  const heldOut = of.holdsOut ? Math.min(HELD_OUT_MAX, Math.max(1, Math.floor(of.records * HELD_OUT_SHARE))) : 0;
  const available = of.records - heldOut;
  if (available < 1) return { field: "sizes", why: `${of.records} records are too few to hold some out` };
  const sizes = numbersOf(texts.sizes) ?? USUAL_SHARES.map((part) => Math.max(1, Math.floor(part * available)));
  const wrong = sizes.find((size) => !Number.isInteger(size) || size < 1 || size > available);
  if (wrong !== undefined) return { field: "sizes", why: `a size is a whole number from 1 to ${available}, of what is not held out` };
  let settings: readonly SweepCell["values"][] = [{}];
  for (const { field, label } of AXES) {
    const values = numbersOf(texts[field]);
    if (values?.some((value) => !(value > 0 && Number.isFinite(value)))) return { field, why: `${label} are numbers above 0` };
    if (values) settings = settings.flatMap((setting) => values.map((value) => ({ ...setting, [field]: value })));
  }
  const ascending = [...new Set(sizes)].sort((one, other) => one - other);
  const cells = ascending.flatMap((examples) =>
    settings.map((values) => ({ examples, values, name: cellName(examples, of.base, values) })),
  );
  if (cells.length > CELLS_MAX)
    return {
      field: "sizes",
      why: `these are ${cells.length} trainings: the page starts ${CELLS_MAX} at most, deltaplane ft sweep any number`,
    };
  return { cells, heldOut };
}

/** One order of all by the seed alone, so that each size contains the smaller ones. */
export function shuffled<T>(values: readonly T[], seed: number): readonly T[] {
  const order = [...values];
  const draw = drawing(seed);
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(draw() * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

/** About how many tokens the cells train together: few examples are shown more often, as the trainer does. */
export function plannedTokens(
  { cells }: SweepPlan,
  { tokensPerExample, epochs }: { readonly tokensPerExample: number; readonly epochs: number },
): number {
  const epochsOf = ({ examples, values }: SweepCell) => values.n_epochs ?? Math.max(epochs, Math.min(25, Math.floor(100 / examples)));
  return cells.reduce((sum, cell) => sum + Math.round(tokensPerExample * cell.examples * epochsOf(cell)), 0);
}

function cellName(examples: number, base: string, values: SweepCell["values"]): string {
  const said = AXES.flatMap(({ field, word }) => (values[field] === undefined ? [] : [`${word} ${values[field]}`]));
  return [`${examples} examples`, base, ...said].join(", ");
}

function numbersOf(text = ""): readonly number[] | undefined {
  const words = text.split(/[\s,]+/).filter(Boolean);
  return words.length === 0 ? undefined : [...new Set(words.map(Number))];
}

/** Mulberry32: numbers from 0 to below 1. */
function drawing(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
