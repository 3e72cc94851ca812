import type { ComponentChildren } from "preact";

export interface Column<Row> {
  readonly title: string;
  /** Right-aligned, with figures of one width. */
  readonly numeric?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  /** What the table is, for those who don't see it. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Sums, below the rows. */
  readonly foot?: readonly ComponentChildren[];
}

/** Scrolls sideways in its own box when there is no room. The first column names the row. */
export function Table<Row>({ caption, columns, rows, keyOf, foot }: TableProps<Row>) {
  const kind = (numeric: boolean | undefined) => (numeric ? "num" : undefined);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="table-box" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ title, numeric }) => (
              <th key={title} scope="col" class={kind(numeric)}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, numeric, cell }, index) =>
                index === 0 ? (
                  <th key={title} scope="row" class={kind(numeric)}>
                    {cell(row)}
                  </th>
                ) : (
                  <td key={title} class={kind(numeric)}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
        {foot && (
          <tfoot>
            <tr>
              {foot.map((cell, index) => (
                <td key={columns[index]?.title} class={kind(columns[index]?.numeric)}>
                  {cell}
                </td>
              ))}
            </tr>
          </tfoot>
        )}
      </table>
    </section>
  );
}
