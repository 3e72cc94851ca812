import { assert, seededRandom } from "#kernel";
import { columnChecks, type Survey, type TaskKind } from "./checks/index.ts";
import { Dialogue, type PreparationListener, type PreparationStep } from "./dialogue.ts";
import type { TrainingBase } from "./encode.ts";
import { type Measured, measure, type TokenCounts } from "./measure.ts";
import { type PreparedFiles, writePrepared } from "./prepared-files.ts";
import { openRawRows, type RawRows } from "./raw-rows.ts";
import { type DataFormat, openDataFile } from "./records/data-file.ts";
import type { DataKind, RawRow, Row } from "./rows.ts";
import { type Rows, type Settled, settle } from "./settle.ts";
import { COMPLETIONS, CONVERSATIONS, type Shape } from "./shapes.ts";
import { countRows } from "./survey.ts";

export interface PrepareOptions {
  readonly base: TrainingBase;
  /** What the records are, when it should not be seen from the first of them. */
  readonly kind?: DataKind | undefined;
  /** Whether some examples are held out; asked when all checks are done. */
  readonly split: (survey: Survey) => Promise<boolean>;
}

export interface Preparation {
  readonly source: string;
  readonly format: DataFormat;
  readonly kind: DataKind;
  readonly task: TaskKind;
  /** Different completions, when they are labels. */
  readonly classes: number | undefined;
  readonly rows: { readonly read: number; readonly kept: number; readonly dropped: number };
  readonly tokens: TokenCounts;
  readonly steps: readonly PreparationStep[];
  /** What was written; undefined when nothing had to be changed: the source is ready as it is. */
  readonly files: PreparedFiles | undefined;
  /** With what prompts end, and what can be given to `stop`, when all do. */
  readonly separator: string | undefined;
  readonly stop: string | undefined;
}

/** Fixed, so that the same file is always split in the same way. */
const SPLIT_SEED = 42;

/** Each time another row is dropped, and the others change because of it: more than a few times is a fault of the checks. */
const MEASURES_MAX = 50;

/**
 * Brings a data file into the shape in which it can be trained on, and writes that beside it. The source stays untouched;
 * it is read several times and never held.
 *
 * @throws Fault of {@link openDataFile} and of its records; file_malformed for data that can't be prepared;
 * context_too_long when no row fits the base
 */
export async function prepareData(file: string, options: PrepareOptions, listener: PreparationListener): Promise<Preparation> {
  const dialogue = new Dialogue(listener);
  const raw = await openRawRows(await openDataFile(file));
  const kind = options.kind ?? raw.kind;
  await tellFormat(raw, dialogue);
  return kind === "chat"
    ? prepareShape(raw, kind, CONVERSATIONS, options, dialogue)
    : prepareShape(raw, kind, COMPLETIONS, options, dialogue);
}

async function prepareShape<R extends Row>(
  raw: RawRows,
  kind: DataKind,
  shape: Shape<R>,
  options: PrepareOptions,
  dialogue: Dialogue,
): Promise<Preparation> {
  const columns = await settle<RawRow>(raw.rows, columnChecks(kind), () => countRows("conditional"), dialogue);
  const shaped: Rows<R> = async function* () {
    for await (const batch of columns.rows()) yield batch.map(shape.rowOf);
  };
  const { settled, measured } = await settleMeasured(shaped, shape, options.base, dialogue);
  const { task, classes } = settled.survey;
  // A single row has no other to be measured with.
  const split = measured.lengths.count > 1 && (await options.split(settled.survey));
  const { path: source, format } = raw.file;
  const files =
    dialogue.changed || split
      ? await writePrepared(source, measured.rows, shape.recordOf, measured.lengths, split ? seededRandom(SPLIT_SEED) : undefined)
      : undefined;
  const kept = measured.lengths.count;
  return {
    ...{ source, format, kind, task, classes: task === "classification" ? classes : undefined },
    rows: { read: raw.count, kept, dropped: raw.count - kept },
    ...{ tokens: measured.tokens, steps: dialogue.steps, files, separator: settled.separator, stop: settled.stop },
  };
}

/** Checks and measures in turns: without the rows that the base can't take, the checks may see something else. */
async function settleMeasured<R extends Row>(
  source: Rows<R>,
  shape: Shape<R>,
  base: TrainingBase,
  dialogue: Dialogue,
): Promise<{ readonly settled: Settled<R>; readonly measured: Measured<R> }> {
  let rows = source;
  let measured: Measured<R> | undefined;
  for (let times = 0; times < MEASURES_MAX; times++) {
    const settled = await settle(rows, shape.checks, shape.surveyor, dialogue);
    if (measured && !settled.changed) return { settled, measured };
    measured = await measure(settled.rows, shape.recordOf, base, dialogue);
    if (!measured.dropped) return { settled, measured };
    rows = measured.rows;
  }
  assert(false, "dropping rows comes to an end");
}

async function tellFormat({ file: { path, format, namedFormat } }: RawRows, dialogue: Dialogue): Promise<void> {
  if (format !== namedFormat) dialogue.note("file name", `${path} is named ${namedFormat}, but holds ${format}`);
  if (format === "JSONL" && namedFormat === "JSONL") return;
  await dialogue.accept("format", "necessary", { message: `Convert ${format === "JSONL" ? namedFormat : format} to JSONL` });
}
