import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openCheckpoint } from "#model";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";
import { measureModels } from "./speculation.ts";
import { generatedKinds } from "./speculation-texts.ts";

test("the same texts are measured with drafts and without, and those that loop take fewer steps", { timeout: 60_000 }, async () => {
  const cache = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const folder = await generatedBase(cache, SHAPE_TINY);
    const kinds = generatedKinds((await openCheckpoint(folder)).info)
      .filter(({ atOnce }) => atOnce === 1)
      .map((kind) => ({ ...kind, prompts: kind.prompts.slice(0, 2) }));
    const { rows, summary } = await measureModels([{ name: "tiny", folder, kinds }], { quick: true });
    expect(rows.map(({ weights, text }) => `${weights}: ${text}`)).toEqual(
      ["float32", "int8"].flatMap((weights) => kinds.map(({ name }) => `${weights}: ${name}`)),
    );
    for (const row of rows) {
      expect(row["tokens/s without"]).toBeGreaterThan(0);
      expect(row["over without"]).toBeGreaterThan(0);
      expect(row["tokens per step"]).toBeGreaterThanOrEqual(1);
      if (row["weights"] === "float32") expect(row["same texts"]).toBe(1);
    }
    expect(rows[0]!["tokens per step"]).toBeGreaterThan(1.2);
    expect(Object.keys(summary)).toContain("over_without_tiny_float32_loops_1");
  } finally {
    await rm(cache, { recursive: true });
  }
});
