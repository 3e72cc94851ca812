/** A reader of RFC 4180, strict: every row ends with CRLF and has as many cells as the first. Gives objects by title. */
export function readCsv(text: string): readonly Readonly<Record<string, string>>[] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)/y;
  for (let at = 0; at < text.length; at = cell.lastIndex) {
    cell.lastIndex = at;
    const [, content, end] = cell.exec(text) ?? [];
    if (content === undefined) throw new Error(`no RFC 4180 at ${at}: ${JSON.stringify(text.slice(at, at + 40))}`);
    row.push(content.startsWith('"') ? content.slice(1, -1).replaceAll('""', '"') : content);
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  if (row.length > 0) throw new Error("the last row has no end");
  const [titles = [], ...body] = rows;
  return body.map((cells) => {
    if (cells.length !== titles.length) throw new Error(`a row of ${cells.length} cells under ${titles.length} titles`);
    return Object.fromEntries(titles.map((title, index) => [title, cells[index]!]));
  });
}
