/** Cells and rows of a CSV file: RFC 4180, with CRLF at the end of every row. */

/** A spreadsheet takes a text that begins so for a formula, and runs it. */
const FORMULA = /^[=+\-@\t\r\n]/;

/** A cell that holds a text, whoever wrote it: what looks like a formula is preceded by an apostrophe. */
export function textCell(text: string | undefined): string {
  if (text === undefined) return "";
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A cell that holds a number: what we computed needs no care. */
export function numberCell(number: number | bigint | string): string {
  return String(number);
}

export function csvRow(cells: readonly string[]): string {
  return `${cells.join(",")}\r\n`;
}
