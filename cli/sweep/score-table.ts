import { JobState } from "#proto";
import { STATE_NAMES } from "../follow-job.ts";
import type { Column } from "../output.ts";
import type { CurvePoint } from "./advice.ts";
import { settingName } from "./cells.ts";
import type { TrainedCell } from "./sweep-jobs.ts";

/** A line of the table. What was not measured is undefined. */
export interface SweepRow {
  readonly examples: number;
  /** What was asked for, in words. */
  readonly setting: string;
  readonly base: string;
  readonly epochs: number | undefined;
  readonly learningRateMultiplier: number | undefined;
  readonly rank: number | undefined;
  readonly loss: number | undefined;
  readonly tokenAccuracy: number | undefined;
  readonly exactMatch: number | undefined;
  readonly trainedTokens: number;
  readonly job: string;
  readonly state: string;
  /** Empty unless it succeeded. */
  readonly model: string;
}

/** All sizes of one setting, ascending. */
export interface Curve {
  readonly setting: string;
  readonly base: string;
  readonly points: readonly (CurvePoint & { readonly tokenAccuracy: number | undefined })[];
}

const number = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? "-";

export const SWEEP_COLUMNS: readonly Column<SweepRow>[] = [
  { title: "examples", value: (row) => row.examples, align: "right" },
  { title: "base", value: (row) => row.base },
  { title: "epochs", value: (row) => row.epochs ?? "-", align: "right" },
  { title: "lr ×", value: (row) => row.learningRateMultiplier ?? "-", align: "right" },
  { title: "rank", value: (row) => row.rank ?? "-", align: "right" },
  { title: "loss", value: (row) => number(row.loss, 4), align: "right" },
  { title: "token acc.", value: (row) => number(row.tokenAccuracy, 3), align: "right" },
  { title: "exact", value: (row) => number(row.exactMatch, 3), align: "right" },
  { title: "tokens", value: (row) => row.trainedTokens, align: "right" },
  { title: "model", value: (row) => row.model || `${row.state}: ${row.job}` },
];

/** What was used is shown, chosen or asked for. */
export function sweepRow({ cell, job, metrics }: TrainedCell, exactMatch: number | undefined): SweepRow {
  const used = job.chosen ?? cell;
  const succeeded = job.state === JobState.JOB_STATE_SUCCEEDED;
  return {
    ...{ examples: cell.examples, setting: settingName(cell), base: cell.base },
    ...{ epochs: used.epochs, learningRateMultiplier: used.learningRateMultiplier, rank: used.rank },
    // A job that broke off is no point of a curve, whatever it measured before.
    ...{ loss: succeeded ? metrics?.fullValidLoss : undefined, exactMatch },
    tokenAccuracy: succeeded ? metrics?.fullValidMeanTokenAccuracy : undefined,
    ...{ trainedTokens: Number(job.trainedTokens), job: job.id, state: STATE_NAMES.get(job.state) ?? "", model: job.fineTunedModel },
  };
}

/** The rows by setting, the best setting first: measured with the most sizes, then at the largest of them. */
export function curvesOf(rows: readonly SweepRow[]): readonly Curve[] {
  const curves = [...Map.groupBy(rows, ({ setting }) => setting).values()].map((own) => ({
    ...{ setting: own[0]!.setting, base: own[0]!.base },
    points: own
      .flatMap(({ examples, loss, tokenAccuracy, exactMatch }) =>
        loss === undefined ? [] : [{ examples, loss, tokenAccuracy, exactMatch }],
      )
      .sort((one, other) => one.examples - other.examples),
  }));
  const largest = (curve: Curve) => curve.points.at(-1);
  const loss = (curve: Curve) => largest(curve)?.loss ?? Number.POSITIVE_INFINITY;
  // Losses of different bases are per token of different tokenizers; right answers compare.
  const share = (curve: Curve) => largest(curve)?.exactMatch ?? 0;
  return curves.sort((one, other) => other.points.length - one.points.length || share(other) - share(one) || loss(one) - loss(other));
}

/** Whether bases were compared by what does not compare. */
export function comparesLosses(curves: readonly Curve[]): boolean {
  const bases = new Set(curves.map(({ base }) => base));
  return bases.size > 1 && curves.some(({ points }) => points.some(({ exactMatch }) => exactMatch === undefined));
}
