import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";
import { benchTrain } from "./train.ts";
import { startOurSide } from "./train-sides.ts";

let cacheDirectory: string;
beforeAll(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), "bench-train-"));
});
afterAll(() => rm(cacheDirectory, { recursive: true, force: true }));

test("measures a folder, and says what it took", async () => {
  const base = await generatedBase(cacheDirectory, SHAPE_TINY);
  const report = await benchTrain({ base, quick: true });
  expect(report.rows[0]).toMatchObject({ trainer: "deltaplane" });
  expect(report.summary["tokens_per_s"]).toBeGreaterThan(0);
  expect(report.summary["peak_mb"]).toBeGreaterThan(10);
});

test("a side that ends early is an error, not a figure", async () => {
  await using side = startOurSide(join(cacheDirectory, "nowhere"));
  await expect(side.run(1)).rejects.toThrow(/ended with code/);
});

test("a named Python without what is needed is an error", async () => {
  await expect(benchTrain({ python: join(cacheDirectory, "no-python"), quick: true })).rejects.toThrow(/no-python/);
});
