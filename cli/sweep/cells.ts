/** One training of a sweep: a size and a setting. Undefined: the job chooses. */
export interface Cell extends Setting {
  readonly examples: number;
}

/** What is compared besides the number of examples. */
export interface Setting {
  readonly base: string;
  readonly epochs: number | undefined;
  readonly learningRateMultiplier: number | undefined;
  readonly rank: number | undefined;
}

export interface SweepAxes {
  readonly examples: readonly number[];
  readonly bases: readonly string[];
  /** Empty: the jobs choose. */
  readonly epochs: readonly number[];
  readonly learningRateMultipliers: readonly number[];
  readonly ranks: readonly number[];
}

/** Every combination once; small sizes first, which are cheap and say the most about whether the sweep is worth it. */
export function cellsOf(axes: SweepAxes): readonly Cell[] {
  const wishes = (values: readonly number[]): readonly (number | undefined)[] => (values.length === 0 ? [undefined] : [...new Set(values)]);
  return [...new Set(axes.examples)].flatMap((examples) =>
    [...new Set(axes.bases)].flatMap((base) =>
      wishes(axes.epochs).flatMap((epochs) =>
        wishes(axes.learningRateMultipliers).flatMap((learningRateMultiplier) =>
          wishes(axes.ranks).map((rank) => ({ examples, base, epochs, learningRateMultiplier, rank })),
        ),
      ),
    ),
  );
}

/** The setting in words: what was asked for, besides the base. */
export function settingName({ base, epochs, learningRateMultiplier, rank }: Setting): string {
  const said = [
    ...(epochs === undefined ? [] : [`epochs ${epochs}`]),
    ...(learningRateMultiplier === undefined ? [] : [`lr × ${learningRateMultiplier}`]),
    ...(rank === undefined ? [] : [`rank ${rank}`]),
  ];
  return [base, ...said].join(", ");
}

/** The same for the same cell: by this a sweep knows its job. */
export function cellName(cell: Cell): string {
  return `${cell.examples} examples, ${settingName(cell)}`;
}
