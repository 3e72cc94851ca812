import { ask, pathOf } from "../../api/index.ts";
import { command, createJob, type Job } from "./job.ts";
import { jobWish, type KnobTexts } from "./knobs.ts";
import { type TrainingFile, upload } from "./preparation.ts";
import { type SweepPlan, shuffled } from "./sweep-plan.ts";

/** What a sweep is made of. */
export interface SweepFiles {
  readonly base: string;
  /** JSONL, one record each. */
  readonly records: readonly string[];
  /** What is measured on, where it is a file of its own. */
  readonly validationFile: TrainingFile | null;
}

const SEEDS = 2 ** 31;

/** The records of a prepared file. */
export async function readRecords(file: TrainingFile, signal: AbortSignal): Promise<readonly string[]> {
  const answer = await ask("GET", `/v1/files${pathOf(file.id, "content")}`, { signal });
  return (await answer.text()).split("\n").filter((line) => line.trim() !== "");
}

/**
 * Uploads the parts and starts a job for each cell, with the knobs where the cell says nothing. All are started or none: when
 * one is refused, those before it are cancelled. Gives the sweep's name.
 */
export async function startSweep({ cells, heldOut }: SweepPlan, knobs: KnobTexts, files: SweepFiles, signal: AbortSignal): Promise<string> {
  const seed = knobs.seed === "" ? Math.floor(Math.random() * SEEDS) : Number(knobs.seed);
  const sweep = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const order = shuffled(files.records, seed);
  const part = (name: string, records: readonly string[]) => upload(new File([`${records.join("\n")}\n`], `${name}.jsonl`), signal);
  const validation = files.validationFile ?? (await part("held-out", order.slice(0, heldOut)));
  const training = new Map<number, TrainingFile>();
  for (const { examples } of cells)
    if (!training.has(examples)) training.set(examples, await part(`train-${examples}`, order.slice(heldOut, heldOut + examples)));

  const started: Job[] = [];
  try {
    for (const { examples, values, name } of cells) {
      const texts = Object.entries(values).map(([field, value]) => [field, String(value)]);
      // Nothing stops early: what differs is the examples and the setting.
      const own = { ...knobs, seed: String(seed), auto: false, values: { ...knobs.values, ...Object.fromEntries(texts) } };
      const job = { model: files.base, training_file: training.get(examples)!.id, validation_file: validation.id };
      const wish = jobWish({ ...own, suffix: knobs.suffix || `sweep-${examples}` }, job);
      started.push(await createJob({ ...wish, metadata: { sweep, cell: name } }));
    }
  } catch (error) {
    await Promise.allSettled(started.map(({ id }) => command(id, "cancel"))); // What was refused is what is told.
    throw error;
  }
  return sweep;
}
