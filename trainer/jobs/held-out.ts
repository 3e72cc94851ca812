import { Fault } from "#kernel";
import { readTrainingFile, type TrainingBase } from "../data/index.ts";
import type { Example } from "../training/example.ts";

/** Every so-manyth record is held back where a job is to look for its own end and brings no validation file. */
const HELD_OUT_EVERY = 10;
/** From fewer records nothing is held back: what they would tell is mostly chance. */
export const HELD_OUT_RECORDS_MIN = 20;

/** Which records of a training file are trained on. */
export type Split = "all" | "train" | "held_out";

/** Whether records of a file are held back. */
export function holdsBack(job: { readonly auto: boolean; readonly validationFile: string }, records: number): boolean {
  return job.auto && job.validationFile === "" && records >= HELD_OUT_RECORDS_MIN;
}

/** Of so many records, those that are trained on. */
export function trainedRecords(records: number, heldBack: boolean): number {
  return heldBack ? records - Math.floor(records / HELD_OUT_EVERY) : records;
}

/**
 * The examples of a file that was checked before, or a part of them: the same part on every trainer.
 * @throws Fault file_malformed when the file is not what was checked
 */
export async function* examplesOf(
  bytes: AsyncIterable<Uint8Array>,
  base: TrainingBase,
  split: Split,
  promptLossWeight: number,
): AsyncGenerator<Example> {
  let ordinal = 0;
  for await (const read of readTrainingFile(bytes, base, { promptLossWeight })) {
    if ("problem" in read) throw new Fault("file_malformed", `line ${read.line} ${read.problem}`, { detail: { line: read.line } });
    const held = ++ordinal % HELD_OUT_EVERY === 0;
    if (split === "all" || held === (split === "held_out")) yield* read.examples;
  }
}
