import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { recordReport } from "./recorder.ts";
import { createReport } from "./report.ts";
import { formatTable } from "./table.ts";

test("a figure that was not measured is an error, not a number", async () => {
  await expect(createReport("engine", [], { tokens_per_s: Number.NaN })).rejects.toThrow("tokens_per_s was not measured");
});

test("a report names machine and commit, and is recorded as JSON and as a table", async () => {
  const directory = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const report = await createReport("engine", [{ rows: 16, rate: 123.456 }], { tokens_per_s: 123.456 });
    expect(report.machine.cores).toBeGreaterThan(0);
    const markdown = await recordReport(report, directory);
    expect(JSON.parse(await readFile(markdown.replace(/md$/, "json"), "utf8"))).toEqual(report);
    expect(await readFile(markdown, "utf8")).toContain("|   16 |  123 |");
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a table aligns text to the left and numbers to the right", () => {
  expect(
    formatTable([
      { model: "a", rate: 1.5 },
      { model: "long", rate: 20 },
    ]),
  ).toBe(["| model | rate |", "| ----- | ---: |", "| a     | 1.50 |", "| long  |   20 |"].join("\n"));
});
