import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";
import { benchPrefix } from "./prefix.ts";

test("every kind of text is measured, on the base and on a delta", { timeout: 60_000 }, async () => {
  const cache = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const base = await generatedBase(cache, { ...SHAPE_TINY, contextTokensMax: 1024 });
    const { rows, summary } = await benchPrefix({ base, cacheDirectory: cache, quick: true });
    const one = ["nothing kept", "prefix kept", "prefix kept, two at once", "another tenant's"];
    const eight = ["nothing kept, eight at once", "nothing kept, prefix in common, eight at once"];
    const kinds = [...one, ...eight];
    expect(rows.map(({ on, text }) => `${on}: ${text}`)).toEqual(["base", "delta"].flatMap((on) => kinds.map((kind) => `${on}: ${kind}`)));
    for (const row of rows) expect(row["TTFT p50 ms"]).toBeGreaterThan(0);
    expect(Object.keys(summary)).toContain("ttft_ratio_base");
    const computed = Object.fromEntries(rows.map(({ on, text, ...row }) => [`${on}: ${text}`, row["prompt tokens computed"]]));
    expect(computed["base: nothing kept, eight at once"]).toBe(8 * 576);
    expect(computed["delta: nothing kept, prefix in common, eight at once"]).toBeLessThan(3 * 576);
  } finally {
    await rm(cache, { recursive: true });
  }
});
