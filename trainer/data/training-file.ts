import { Fault, isFault, type Tokens } from "#kernel";
import { type Example, learnedTokens } from "../training/example.ts";
import { FingerprintSet } from "./checks/index.ts";
import { type EncodeOptions, encodeRecord, type TrainingBase } from "./encode.ts";
import { readJsonl } from "./records/jsonl-reader.ts";
import { LINES_SHOWN, RECORDS_MAX, type SourceRecord } from "./records/record.ts";
import { COLUMNS, chatRow, completionRow, type DataKind, type TrainingRecord } from "./rows.ts";

/** One record of a training file, ready to be trained on. A conversation may give several examples. */
export interface TrainingExamples {
  readonly line: number;
  readonly kind: DataKind;
  readonly record: TrainingRecord;
  readonly examples: readonly Example[];
}

export interface TrainingFileLimits extends EncodeOptions {
  readonly recordsMax?: number;
  /** How many problems are named before the rest is only counted. */
  readonly problemsShown?: number;
}

/** What a training file holds. */
export interface TrainingFileSummary {
  readonly kind: DataKind;
  readonly records: number;
  readonly examples: number;
  /** Of one epoch: what is charged for it. */
  readonly tokens: Tokens;
  readonly learnedTokens: Tokens;
  readonly longestTokens: Tokens;
  /** Different completions; they look like labels when there are far fewer than records. Of conversations 0. */
  readonly distinctCompletions: number;
}

/**
 * Checks a training file as it was uploaded: JSONL, every record of the same kind and in the very shape that `data
 * prepare` writes. Reads it to the end, and repairs nothing.
 *
 * @throws Fault file_malformed that names the first wrong lines and counts the others, also for a file without records;
 * message_too_large for more records than allowed; parameter_unsupported when the base has no chat template
 */
export async function validateTrainingFile(
  bytes: AsyncIterable<Uint8Array>,
  base: TrainingBase,
  limits: TrainingFileLimits = {},
): Promise<TrainingFileSummary> {
  const problems = new Problems(limits.problemsShown ?? LINES_SHOWN);
  const completions = new FingerprintSet();
  const sums = { records: 0, examples: 0, tokens: 0, learnedTokens: 0, longestTokens: 0 };
  let kind: DataKind | undefined;
  for await (const read of readTrainingFile(bytes, base, limits)) {
    if ("problem" in read) {
      problems.add(read.line, read.problem);
      continue;
    }
    kind ??= read.kind;
    if ("completion" in read.record) completions.add(read.record.completion);
    sums.records++;
    sums.examples += read.examples.length;
    for (const example of read.examples) {
      sums.tokens += example.tokenIds.length;
      sums.learnedTokens += learnedTokens(example);
      sums.longestTokens = Math.max(sums.longestTokens, example.tokenIds.length);
    }
  }
  problems.throwAny();
  if (kind === undefined) throw new Fault("file_malformed", "the training file has no examples", { detail: { field: "training_file" } });
  return { kind, ...sums, distinctCompletions: completions.size };
}

/** The examples of a training file in its order, one record at a time, with whatever is wrong at its place. */
export async function* readTrainingFile(
  bytes: AsyncIterable<Uint8Array>,
  base: TrainingBase,
  limits: TrainingFileLimits = {},
): AsyncGenerator<TrainingExamples | { readonly line: number; readonly problem: string }> {
  const recordsMax = limits.recordsMax ?? RECORDS_MAX;
  let kind: DataKind | undefined;
  let records = 0;
  for await (const batch of readJsonl(bytes, "the training file")) {
    for (const source of batch) {
      if (++records > recordsMax) throw new Fault("message_too_large", `the training file has more than ${recordsMax} records`);
      const record = strictRecord(source);
      if (typeof record === "string") {
        yield { line: source.line, problem: record };
        continue;
      }
      const own = "messages" in record ? "chat" : "completion";
      kind ??= own;
      if (own !== kind) yield { line: source.line, problem: `is of the kind ${own}, the records before are of the kind ${kind}` };
      else yield await encoded(base, source.line, own, record, limits);
    }
  }
}

async function encoded(base: TrainingBase, line: number, kind: DataKind, record: TrainingRecord, options: EncodeOptions) {
  try {
    return { line, kind, record, examples: await encodeRecord(base, record, options) };
  } catch (error) {
    if (isFault(error, "context_too_long") || isFault(error, "prompt_malformed")) return { line, problem: error.message };
    throw error;
  }
}

/** A record in the shape that is trained on, or what keeps it from that. */
function strictRecord(source: SourceRecord): TrainingRecord | string {
  if ("problem" in source) return source.problem;
  const kind: DataKind = Object.hasOwn(source.fields, "messages") ? "chat" : "completion";
  for (const name of COLUMNS[kind]) if (!Object.hasOwn(source.fields, name)) return `has no ${name}`;
  const extra = Object.keys(source.fields).find((name) => !COLUMNS[kind].includes(name));
  if (extra !== undefined) return `has ${JSON.stringify(extra)}, which is not learned from`;
  const raw = { ordinal: 0, ...source };
  if (kind === "chat") {
    const { messages, problem } = chatRow(raw);
    return problem ?? { messages };
  }
  const { prompt, completion, converted, problem } = completionRow(raw);
  if (problem !== undefined) return problem;
  if (converted) return "has a prompt or a completion that is not a text";
  return completion.trim() === "" ? "has an empty completion" : { prompt, completion };
}

/** Collects what is wrong with a file, the first few in words. */
class Problems {
  readonly #shownMax: number;
  readonly #shown: string[] = [];
  #count = 0;
  #firstLine = 0;

  constructor(shownMax: number) {
    this.#shownMax = shownMax;
  }

  add(line: number, problem: string): void {
    if (this.#count++ === 0) this.#firstLine = line;
    if (this.#shown.length < this.#shownMax) this.#shown.push(`line ${line} ${problem}`);
  }

  throwAny(): void {
    if (this.#count === 0) return;
    const more = this.#count > this.#shown.length ? `; and ${this.#count - this.#shown.length} more` : "";
    throw new Fault("file_malformed", `the training file: ${this.#shown.join("; ")}${more}`, {
      detail: { field: "training_file", line: this.#firstLine },
    });
  }
}
