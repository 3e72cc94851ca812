import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-memory-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** With DELTAPLANE_DATA_MB=200 the long form. */
const SIZE_MB = Number(process.env["DELTAPLANE_DATA_MB"] ?? 30);
/** Of the child's heap: who holds the rows of the file dies of it. */
const HEAP_MB = 48;
/** Beside the heap there are pieces of the file in flight, code, and some tens of bytes per row. */
const GROWN_MB_MAX = 300;

test(`a file of ${SIZE_MB} MB is prepared within a heap of ${HEAP_MB} MB`, { timeout: 600_000 }, () => {
  const { file, rows } = generate(SIZE_MB * 1e6);
  const child = join(import.meta.dirname, "testing/prepare-process.ts");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [`--max-old-space-size=${HEAP_MB}`, "--max-semi-space-size=16", child, file],
    { encoding: "utf8" },
  );
  expect([status, stderr]).toEqual([0, ""]);
  const report = JSON.parse(stdout) as { rows: object; files: { train: { rows: number }; valid: { rows: number } }; grownMb: number };
  // Every tenth row says the same as the one before it.
  const kept = rows - Math.floor(rows / 10);
  expect(report.rows).toEqual({ read: rows, kept, dropped: rows - kept });
  expect(report.files.train.rows + report.files.valid.rows).toBe(kept);
  expect(report.grownMb).toBeLessThan(GROWN_MB_MAX);
});

/** Rows of about 500 bytes, which need most of the fixes. */
function generate(sizeBytes: number): { readonly file: string; readonly rows: number } {
  const path = join(folder, "large.jsonl");
  const file = openSync(path, "w");
  const filling = "words that fill up the row to its size, ".repeat(10);
  let rows = 0;
  for (let written = 0; written < sizeBytes; ) {
    let batch = "";
    for (let line = 0; line < 1000; line++) {
      rows++;
      const number = rows % 10 === 0 ? rows - 1 : rows;
      batch += `${JSON.stringify({ id: rows, Prompt: `Read this: ${number} ${filling}`, completion: `answer ${number * 7}` })}\n`;
    }
    written += writeSync(file, batch);
  }
  closeSync(file);
  return { file: path, rows };
}
