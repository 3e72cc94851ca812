import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";
import { measureFolders } from "./quantised.ts";
import type { RateMeter } from "./rate-meter.ts";

/** A machine with round figures: what is tested is that everything is measured, never how fast this machine is. */
const meter: RateMeter = {
  measure: async () => ({ flopsPerSecond: 1e11, bytesPerSecond: 1e10 }),
  async [Symbol.asyncDispose]() {},
};

/** Steps long enough that sixteen rows decode at the same time. */
const SHAPE = { ...SHAPE_TINY, layerCount: 4, hiddenSize: 128, intermediateSize: 512 };

// A bench refuses to give a figure when this process was starved for the length of a text; on a busy machine that may happen once.
test("every format is measured on base and deltas, and compared to float32", { timeout: 90_000, retry: 2 }, async () => {
  const cache = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const folder = await generatedBase(cache, SHAPE);
    const { rows, summary } = await measureFolders([["base", folder]], meter, { cacheDirectory: cache, quick: true });
    const formats = ["float32", "int8", "int4"];
    expect(rows.map((row) => `${row["rows"]}x${row["deltas"]} ${row["weights"]}`)).toEqual(
      ["1x0", "16x0", "16x16"].flatMap((cell) => formats.map((format) => `${cell} ${format}`)),
    );
    for (const row of rows) {
      expect(row["tokens/s"]).toBeGreaterThan(0);
      expect(row["of bandwidth"]).toBeGreaterThan(0);
      if (row["weights"] === "float32") expect(row).toMatchObject({ "KL mnat": 0, "same first": 1, "over float32": 1 });
      else expect(row["KL mnat"]).toBeGreaterThan(0);
    }
    expect(summary["divergence_base_int8"]).toBeLessThan(summary["divergence_base_int4"]!);
  } finally {
    await rm(cache, { recursive: true });
  }
});
