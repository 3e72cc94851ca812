import type { Tokens } from "#kernel";
import type { StepRow } from "../contract.ts";

/** Rows that run together in one call of the runtime, padded to `span` tokens each. `indexes` are their places in the step. */
export interface StepBatch {
  /** `decode`: one token each and perhaps a draft, after a past. `chunk`: one row, several tokens, after a past. `fresh`: no past. */
  readonly kind: "decode" | "chunk" | "fresh";
  readonly indexes: readonly number[];
  readonly span: Tokens;
}

/** Above this many tokens a product gains nothing more from being larger, and its activations leave the cache. */
const FRESH_TOKENS_MAX = 1024;
/** Texts of different length run together while padding them costs less than reading the weights once more. */
const PADDED_SHARE_MAX = 1.25;

/** Cuts a step into batches. `pastOf` gives the tokens that a row already has in the cache. */
export function planBatches(rows: readonly StepRow[], pastOf: (row: StepRow) => Tokens): StepBatch[] {
  const decode: number[] = [];
  const fresh: number[] = [];
  const batches: StepBatch[] = [];
  for (const [index, row] of rows.entries()) {
    if (pastOf(row) === 0) fresh.push(index);
    else if (row.tokens.length - (row.draftTokens ?? 0) === 1) decode.push(index);
    else batches.push({ kind: "chunk", indexes: [index], span: row.tokens.length });
  }
  if (decode.length > 0) {
    const span = Math.max(...decode.map((index) => rows[index]!.tokens.length));
    batches.unshift({ kind: "decode", indexes: decode, span });
  }
  return [...batches, ...freshBatches(rows, fresh)];
}

/** Longest first, each joined by those whose padding is worth it. */
function freshBatches(rows: readonly StepRow[], indexes: readonly number[]): StepBatch[] {
  const lengthOf = (index: number) => rows[index]!.tokens.length;
  const sorted = indexes.toSorted((one, other) => lengthOf(other) - lengthOf(one));
  const batches: { kind: "fresh"; indexes: number[]; span: Tokens }[] = [];
  for (const index of sorted) {
    const open = batches.at(-1);
    const fits = open && (open.indexes.length + 1) * open.span <= FRESH_TOKENS_MAX && open.span <= PADDED_SHARE_MAX * lengthOf(index);
    if (fits) open.indexes.push(index);
    else batches.push({ kind: "fresh", indexes: [index], span: lengthOf(index) });
  }
  return batches;
}
