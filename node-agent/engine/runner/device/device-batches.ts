import type { Tokens } from "#kernel";
import type { StepRow } from "../contract.ts";
import type { SlotBanks } from "./slot-banks.ts";

/** A part of a row's tokens in a step, and the row's place in that step. */
export interface StepPart {
  readonly index: number;
  readonly step: StepRow;
}

/** Parts that run together in one call of the runtime. */
export interface DeviceBatch {
  /** `decode`: one token each, all in one bank. `chunk`: several tokens of one row. */
  readonly phase: "decode" | "chunk";
  readonly capacity: Tokens;
  readonly parts: readonly StepPart[];
}

/**
 * Cuts a step into batches, in the order in which they must run: rows with one token by bank, and longer ones by themselves, as the
 * runtime's attention asks for, in parts of at most `chunkTokens`.
 */
export function planDeviceBatches(rows: readonly StepRow[], banks: Pick<SlotBanks, "place">, chunkTokens: Tokens): readonly DeviceBatch[] {
  const parts = rows.map((step, index) => ({ index, step, capacity: banks.place(step.row).capacity }));
  const decoding = Map.groupBy(
    parts.filter(({ step }) => step.tokens.length === 1),
    ({ capacity }) => capacity,
  );
  const chunks = parts.filter(({ step }) => step.tokens.length > 1);
  return [
    ...[...decoding].map(([capacity, parts]) => ({ phase: "decode" as const, capacity, parts })),
    ...chunks.flatMap(({ index, step, capacity }) =>
      cut(step, chunkTokens).map((part) => ({ phase: "chunk" as const, capacity, parts: [{ index, step: part }] })),
    ),
  ];
}

/** Parts of nearly equal length. Logits of the last token come from the last part. */
function cut(step: StepRow, chunkTokens: Tokens): readonly StepRow[] {
  const count = Math.ceil(step.tokens.length / chunkTokens);
  if (count <= 1) return [step];
  const bounds = Array.from({ length: count + 1 }, (_, index) => Math.round((index * step.tokens.length) / count));
  return bounds.slice(1).map((end, index) => ({
    ...step,
    tokens: step.tokens.slice(bounds[index], end),
    logits: step.logits === "all" || index === count - 1 ? step.logits : "none",
  }));
}
