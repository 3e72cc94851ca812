import { pipeline } from "node:stream/promises";
import { CsvError, parse } from "csv-parse";
import { checkedBytes } from "./checked-bytes.ts";
import { lineFault, RECORD_BYTES_MAX, type RecordReader, type SourceRecord } from "./record.ts";
import { TableHeader } from "./table-header.ts";

/** How many records go on together. */
const BATCH_RECORDS = 256;

/** Comma-separated values (RFC 4180) with a header; semicolons where the header has these, as spreadsheets of many countries write it. */
export const readCsv: RecordReader = (bytes, file) => readDelimited(bytes, file, [",", ";"]);

/** Tab-separated values, quoted as in CSV. */
export const readTsv: RecordReader = (bytes, file) => readDelimited(bytes, file, ["\t"]);

interface Parsed {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

async function* readDelimited(
  bytes: AsyncIterable<Uint8Array>,
  file: string,
  delimiters: readonly string[],
): AsyncGenerator<readonly SourceRecord[]> {
  const checked = checkedBytes(bytes, file);
  const first = await checked.next();
  if (first.done) return;
  const parser = parse({
    delimiter: chooseDelimiter(first.value, delimiters),
    info: true,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: RECORD_BYTES_MAX,
  });
  const piped = pipeline(rejoin(first.value, checked), parser);
  piped.catch(() => undefined); // Whoever reads from the parser gets the same error.
  const lines = new LineCounter();
  let header: TableHeader | undefined;
  let batch: SourceRecord[] = [];
  try {
    for await (const { record, info } of parser as AsyncIterable<Parsed>) {
      const line = lines.startOf(record, info.lines);
      if (header) batch.push(header.record(line, record));
      else header = new TableHeader(file, line, record);
      if (batch.length < BATCH_RECORDS) continue;
      yield batch;
      batch = [];
    }
  } catch (error) {
    if (error instanceof CsvError) throw lineFault(file, Number(error["lines"] ?? lines.last), WHY[error.code] ?? error.message, error);
    throw error;
  }
  yield batch;
}

const WHY: Readonly<Partial<Record<string, string>>> = {
  CSV_QUOTE_NOT_CLOSED: "the file ends within a quoted cell: a quote is missing somewhere above",
  CSV_MAX_RECORD_SIZE: `a row is longer than ${RECORD_BYTES_MAX} bytes, or a quote is missing`,
};

async function* rejoin(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

/** The one that the header has most often; the first when it has none. */
function chooseDelimiter(beginning: Buffer, delimiters: readonly string[]): string {
  const [header = ""] = beginning.toString().split(/\r|\n/, 1);
  const count = (delimiter: string) => header.split(delimiter).length;
  return delimiters.reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}

/** The parser says on which line a record ended, and takes CR LF within quotes for two line ends. */
class LineCounter {
  #surplus = 0;
  last = 1;

  startOf(record: readonly string[], endLine: number): number {
    let breaks = 0;
    for (const cell of record) {
      if (!cell.includes("\n") && !cell.includes("\r")) continue;
      const own = cell.match(/\r\n|\r|\n/g)!;
      breaks += own.length;
      this.#surplus += own.join("").length - own.length;
    }
    this.last = endLine - this.#surplus;
    return this.last - breaks;
  }
}
