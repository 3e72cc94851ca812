import { Fault, isFault, type Tokens } from "#kernel";
import { countOf, RowSet } from "./checks/index.ts";
import type { Dialogue } from "./dialogue.ts";
import { encodeRecord, type TrainingBase } from "./encode.ts";
import { LINES_SHOWN } from "./records/record.ts";
import type { Row, TrainingRecord } from "./rows.ts";
import type { Rows } from "./settle.ts";

/** How many records are encoded at once: enough to keep the tokenizer's threads busy. */
const ENCODED_TOGETHER = 16;

/** Tokens of a data set, over all its rows. */
export interface TokenCounts {
  /** What one epoch processes, and what it is charged for. */
  readonly total: Tokens;
  readonly median: Tokens;
  readonly longest: Tokens;
  /** Of the longest row. */
  readonly longestLine: number;
}

export interface Measured<R extends Row> {
  readonly rows: Rows<R>;
  /** Of each row that is left, in order. */
  readonly lengths: TokenLengths;
  readonly tokens: TokenCounts;
  /** Whether rows had to be dropped: what was settled may look different without them. */
  readonly dropped: boolean;
}

/**
 * Encodes every row as the trainer will, and drops those that it could not take: longer than the base's context, or
 * refused by its template.
 *
 * @throws Fault context_too_long when none is left; parameter_unsupported when the base has no template
 */
export async function measure<R extends Row>(
  rows: Rows<R>,
  recordOf: (row: R) => TrainingRecord,
  base: TrainingBase,
  dialogue: Dialogue,
): Promise<Measured<R>> {
  const lengths = new TokenLengths();
  const refused = new RowSet();
  const reasons: string[] = [];
  for await (const batch of rows()) {
    for (let start = 0; start < batch.length; start += ENCODED_TOGETHER) {
      const together = batch.slice(start, start + ENCODED_TOGETHER);
      const results = await Promise.all(together.map((row) => countRecord(base, recordOf(row))));
      for (const [index, row] of together.entries()) {
        const counted = results[index]!;
        if (typeof counted === "number") lengths.add(counted, row.line);
        else {
          refused.add(row);
          if (reasons.length < LINES_SHOWN) reasons.push(`\n  line ${row.line} ${counted}`);
        }
      }
    }
  }
  const { name } = base.info;
  if (lengths.count === 0) throw new Fault("context_too_long", `the base ${name} can't take a single row:${reasons.join("")}`);
  if (refused.size === 0) return { rows, lengths, tokens: lengths.counts(), dropped: false };
  const message = `Drop ${countOf(refused.size, "row")} that the base ${name} can't take:${reasons.join("")}`;
  await dialogue.accept("base", "necessary", { message, drop: refused });
  return { rows: () => without(rows, refused), lengths, tokens: lengths.counts(), dropped: true };
}

/** The tokens, or why there are none. */
async function countRecord(base: TrainingBase, record: TrainingRecord): Promise<Tokens | string> {
  try {
    const examples = await encodeRecord(base, record);
    return examples.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  } catch (error) {
    if (isFault(error, "context_too_long") || isFault(error, "prompt_malformed") || isFault(error, "message_too_large"))
      return error.message;
    throw error;
  }
}

async function* without<R extends Row>(rows: Rows<R>, dropped: RowSet): AsyncGenerator<readonly R[]> {
  for await (const batch of rows()) yield batch.filter(({ ordinal }) => !dropped.has(ordinal));
}

/** The tokens of each row: four bytes each. */
export class TokenLengths {
  #lengths = new Uint32Array(1024);
  #count = 0;
  #longestLine = 0;
  #longest = 0;

  add(tokens: Tokens, line: number): void {
    if (this.#count === this.#lengths.length) {
      const larger = new Uint32Array(this.#count * 2);
      larger.set(this.#lengths);
      this.#lengths = larger;
    }
    this.#lengths[this.#count++] = tokens;
    if (tokens > this.#longest) [this.#longest, this.#longestLine] = [tokens, line];
  }

  get count(): number {
    return this.#count;
  }

  at(index: number): Tokens {
    return this.#lengths[index]!;
  }

  counts(): TokenCounts {
    const sorted = this.#lengths.slice(0, this.#count).sort();
    const total = sorted.reduce((sum, tokens) => sum + tokens, 0);
    return { total, median: sorted[this.#count >> 1] ?? 0, longest: this.#longest, longestLine: this.#longestLine };
  }
}
