import { Readable } from "node:stream";
import { InvalidInputError, InvalidSpreadsheetError, readSheet } from "read-excel-file/node";
import { Fault, MIB } from "#kernel";
import type { JsonValue } from "#model";
import { RECORDS_MAX, type RecordReader, type SourceRecord } from "./record.ts";
import { TableHeader } from "./table-header.ts";

/** A workbook is unpacked in memory, to some twenty times its size; a larger table is better saved as CSV. */
const XLSX_BYTES_MAX = 32 * MIB;

/** The first sheet of a workbook; its first row names the fields. */
export const readXlsx: RecordReader = async function* (bytes, file) {
  const rows = await readSheet(Readable.from(bounded(bytes, file)), { trim: false }).catch((cause: unknown) => {
    if (!(cause instanceof InvalidInputError || cause instanceof InvalidSpreadsheetError)) throw cause;
    throw new Fault("file_malformed", `${file} is not a workbook of Excel: ${cause.message}`, { detail: { file }, cause });
  });
  const [names, ...table] = rows;
  if (!names) return;
  if (table.length > RECORDS_MAX) throw new Fault("message_too_large", `${file} has more than ${RECORDS_MAX} rows`, { detail: { file } });
  const header = new TableHeader(file, 1, names.map(textOf));
  yield table.map((cells, index): SourceRecord => {
    // A row ends with its last cell that is not empty.
    const whole = Array.from({ length: Math.max(header.width, cells.length) }, (_, column) => jsonOf(cells[column]));
    return header.record(index + 2, whole);
  });
};

async function* bounded(bytes: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const piece of bytes) {
    sizeBytes += piece.length;
    if (sizeBytes > XLSX_BYTES_MAX) {
      const why = `${file} has more than ${XLSX_BYTES_MAX / MIB} MiB, too much for a workbook: save the sheet as CSV`;
      throw new Fault("message_too_large", why, { detail: { file } });
    }
    yield piece;
  }
}

/** A cell as JSON has it: a date as text, YYYY-MM-DD where it has no time of day. */
function jsonOf(cell: unknown): JsonValue {
  if (cell instanceof Date) return cell.toISOString().replace(/T00:00:00\.000Z$/, "");
  if (typeof cell === "string" || typeof cell === "number" || typeof cell === "boolean") return cell;
  return null;
}

function textOf(cell: unknown): string {
  const value = jsonOf(cell);
  return value === null ? "" : String(value);
}
