import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { access, rm } from "node:fs/promises";
import path from "node:path";
import { finished } from "node:stream/promises";
import { Fault, isFault, type Random, type Tokens } from "#kernel";
import type { TokenLengths } from "./measure.ts";
import type { Row, TrainingRecord } from "./rows.ts";
import type { Rows } from "./settle.ts";

/** More than anyone keeps of one data set; then something runs in a loop. */
const COPIES_MAX = 1000;
/** At least this share is trained on, and at most this many are held out: more do not measure better. */
const TRAINED_SHARE_MIN = 0.8;
const HELD_OUT_MAX = 1000;

export interface PreparedFile {
  readonly path: string;
  readonly rows: number;
  readonly tokens: Tokens;
}

export interface PreparedFiles {
  readonly train: PreparedFile;
  readonly valid?: PreparedFile;
}

/** How many of `rows` are trained on when the others are held out. */
export function trainedRows(rows: number): number {
  return Math.max(rows - HELD_OUT_MAX, Math.floor(TRAINED_SHARE_MIN * rows), 1);
}

/**
 * Writes the rows beside their source: `FILE_prepared.jsonl`, or `_train` and `_valid` when `split` says by which chance
 * they are parted. Where one of the names is taken, all get a number. A failed attempt leaves nothing behind.
 */
export async function writePrepared<R extends Row>(
  source: string,
  rows: Rows<R>,
  recordOf: (row: R) => TrainingRecord,
  lengths: TokenLengths,
  split: Random | undefined,
): Promise<PreparedFiles> {
  const outputs = await openOutputs(source, split ? ["_train", "_valid"] : [""]);
  try {
    const [train, valid] = outputs;
    let wanted = split ? trainedRows(lengths.count) : lengths.count;
    let index = 0;
    for await (const batch of rows()) {
      for (const row of batch) {
        // Selection sampling: of the rows that are left, each has the same chance to be among those still wanted.
        const chosen = !split || split.below(lengths.count - index) < wanted;
        if (chosen) wanted--;
        await (chosen ? train! : valid!).write(recordOf(row), lengths.at(index++));
      }
    }
    const [first, second] = await Promise.all(outputs.map((output) => output.close()));
    return second ? { train: first!, valid: second } : { train: first! };
  } catch (error) {
    await Promise.all(outputs.map((output) => output.discard()));
    throw error;
  }
}

async function openOutputs(source: string, parts: readonly string[]): Promise<readonly Output[]> {
  const { dir, name } = path.parse(source);
  for (let copy = 0; copy < COPIES_MAX; copy++) {
    const suffix = copy === 0 ? "" : ` (${copy})`;
    const paths = parts.map((part) => path.join(dir, `${name}_prepared${part}${suffix}.jsonl`));
    if ((await Promise.all(paths.map(exists))).some((taken) => taken)) continue;
    const outputs: Output[] = [];
    try {
      for (const file of paths) outputs.push(await Output.open(file));
      return outputs;
    } catch (error) {
      await Promise.all(outputs.map((output) => output.discard()));
      // Somebody else took the name just now.
      if (!isFault(error, "resource_exists")) throw error;
    }
  }
  throw new Fault("resource_exists", `${path.join(dir, name)}_prepared.jsonl exists ${COPIES_MAX} times`, { detail: { file: source } });
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** A file that did not exist before. */
class Output {
  readonly #path: string;
  readonly #stream: WriteStream;
  #rows = 0;
  #tokens = 0;

  private constructor(file: string, stream: WriteStream) {
    this.#path = file;
    this.#stream = stream;
  }

  /** @throws Fault resource_exists */
  static async open(file: string): Promise<Output> {
    const stream = createWriteStream(file, { flags: "wx" });
    try {
      await once(stream, "open");
    } catch (cause) {
      const exists = (cause as NodeJS.ErrnoException).code === "EEXIST";
      throw exists ? new Fault("resource_exists", `${file} exists`, { detail: { file }, cause }) : cause;
    }
    return new Output(file, stream);
  }

  async write(record: TrainingRecord, tokens: Tokens): Promise<void> {
    this.#rows++;
    this.#tokens += tokens;
    // Waiting for room also brings the error of a full disk to light.
    if (!this.#stream.write(`${JSON.stringify(record)}\n`)) await once(this.#stream, "drain");
  }

  async close(): Promise<PreparedFile> {
    this.#stream.end();
    await finished(this.#stream);
    return { path: this.#path, rows: this.#rows, tokens: this.#tokens };
  }

  async discard(): Promise<void> {
    this.#stream.destroy();
    await rm(this.#path, { force: true });
  }
}
