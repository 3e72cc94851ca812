/** What a model came to that was trained on so many examples, on records it was not trained on. */
export interface CurvePoint {
  readonly examples: number;
  readonly loss: number;
  /** Share of the answers that were right to the letter, where it was measured. */
  readonly exactMatch: number | undefined;
}

/** What earlier doublings brought says little of the next: only the last are looked at. */
const POINTS_LOOKED_AT = 3;
/** Of a doubling: a share of the loss, or of all answers. More is worth the labels; less than the lower is within chance. */
const GAIN = { worthwhile: 0.03, noticeable: 0.01 } as const;
/** Below, one record more or less that is right moves the share by more than a worthwhile gain. */
const HELD_OUT_FEW = 50;
const ALL_RIGHT = 0.995;
/** The logarithm of a loss of 0 is no number. */
const LOSS_MIN = 1e-9;

/** Whether it is worth labelling more, in one line. Points by number of examples, ascending. */
export function adviseOnExamples(points: readonly CurvePoint[], heldOutRecords: number): string {
  const last = points.at(-1);
  if (last === undefined || points.length < 2)
    return "One size does not tell whether more examples would help: train on several (--sizes).";
  const care = heldOutRecords < HELD_OUT_FEW ? ` Only ${heldOutRecords} records were held out: take it with care.` : "";
  if (last.exactMatch !== undefined && last.exactMatch >= ALL_RIGHT)
    return `Not worth labelling more: with ${last.examples} examples every held-out answer is right.${care}`;
  const { gain, told } = points.every(({ exactMatch }) => exactMatch !== undefined) ? shareGain(points, last) : lossGain(points, last);
  if (gain <= -GAIN.noticeable)
    return `More examples made it worse (${told}): look at the labels of the later ones, or train for fewer epochs.${care}`;
  if (gain < GAIN.noticeable)
    return `Hardly worth labelling more (${told}): better labels, another base or other settings would do more.${care}`;
  return `${gain >= GAIN.worthwhile ? "Worth labelling more" : "Labelling more would help a little"} (${told}).${care}`;
}

function shareGain(points: readonly CurvePoint[], last: CurvePoint) {
  const gain = slopePerDoubling(points, ({ exactMatch }) => exactMatch!);
  const next = Math.min(1, last.exactMatch! + gain);
  const told = `a doubling changes exact match by ${signed(100 * gain)} points; ${2 * last.examples} would come to about ${next.toFixed(2)}`;
  return { gain, told };
}

/** Losses fall by powers of the number of examples: their logarithm falls by the same amount with every doubling. */
function lossGain(points: readonly CurvePoint[], last: CurvePoint) {
  const factor = Math.exp(slopePerDoubling(points, ({ loss }) => Math.log(Math.max(LOSS_MIN, loss))));
  const told = `a doubling changes the loss by ${signed(100 * (factor - 1))} %; ${2 * last.examples} would come to about ${(last.loss * factor).toPrecision(3)}`;
  return { gain: 1 - factor, told };
}

/** Of the straight line that lies closest to the last points, over the binary logarithm of their examples. */
function slopePerDoubling(points: readonly CurvePoint[], measured: (point: CurvePoint) => number): number {
  const late = points.slice(-POINTS_LOOKED_AT).map((point) => ({ x: Math.log2(point.examples), y: measured(point) }));
  const mean = (of: (point: { readonly x: number; readonly y: number }) => number) =>
    late.reduce((sum, point) => sum + of(point), 0) / late.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  return mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
}
