import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { asDeltaDigest, asTenantId } from "#kernel";
import type { BaseInfo } from "../base.ts";
import { openCheckpoint } from "../checkpoint/index.ts";
import { TINY_CONFIGS, writeTinyCheckpoint } from "../checkpoint/testing/tiny-checkpoint.ts";
import { loadDelta } from "./load-delta.ts";
import { type DeltaSettings, deltaSites, saveDelta } from "./new-delta.ts";

let root: string;
let llama: BaseInfo;
let gpt2: BaseInfo;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "new-delta-"));
  for (const family of ["llama", "gpt2"] as const) await writeTinyCheckpoint(path.join(root, family), TINY_CONFIGS[family]);
  llama = (await openCheckpoint(path.join(root, "llama"))).info;
  gpt2 = (await openCheckpoint(path.join(root, "gpt2"))).info;
});
afterAll(() => rm(root, { recursive: true, force: true }));

const SETTINGS: DeltaSettings = { rank: 4, alpha: 8, rankStabilised: true };

test("targets are the ends of module paths; all linears by default", () => {
  const modules = (base: BaseInfo, targets?: string[]) => deltaSites(base, { ...SETTINGS, targets }).map(({ linear }) => linear.module);
  expect(modules(llama)).toEqual(llama.linears.map(({ module }) => module));
  expect(modules(gpt2, ["c_proj"])).toHaveLength(4);
  expect(modules(gpt2, ["mlp.c_proj", "transformer.h.0.attn.c_attn"])).toEqual([
    "transformer.h.0.attn.c_attn",
    "transformer.h.0.mlp.c_proj",
    "transformer.h.1.mlp.c_proj",
  ]);
  expect(deltaSites(llama, SETTINGS)[0]!.scale).toBe(4);
  expect(deltaSites(llama, { ...SETTINGS, rankStabilised: false })[0]!.scale).toBe(2);
});

test.each<[string, Partial<DeltaSettings>, string]>([
  ["a rank of 0", { rank: 0 }, "rank"],
  ["half a rank", { rank: 1.5 }, "rank"],
  ["a rank beyond the engine's", { rank: 513 }, "rank"],
  ["no alpha", { alpha: 0 }, "alpha"],
  ["no targets", { targets: [] }, "targets"],
  ["a part of a name", { targets: ["_proj"] }, "targets"],
])("%s is refused", (_, different, field) => {
  expect(() => deltaSites(llama, { ...SETTINGS, ...different })).toThrow(
    expect.objectContaining({ reason: "parameter_invalid", detail: { field } }),
  );
});

test.each(["llama", "gpt2"] as const)("what is saved for %s is loaded with the same values", async (family) => {
  const base = family === "llama" ? llama : gpt2;
  const directory = path.join(root, `${family}-delta`);
  const values = new Map(
    deltaSites(base, SETTINGS).flatMap(({ linear: { module, inputSize, outputSize } }, index) => [
      [`${module}.lora_A`, new Float32Array(4 * inputSize).map((_, at) => index + at / 1000)],
      [`${module}.lora_B`, new Float32Array(4 * outputSize).map((_, at) => at / 100 - index)],
    ]),
  );
  await saveDelta(directory, base, SETTINGS, values);
  const reference = { tenantId: asTenantId("acme"), baseDigest: base.digest, digest: asDeltaDigest("0".repeat(64)) };
  const loaded = await loadDelta(directory, reference, base, { verify: false });
  for (const [index, { a, b }] of loaded.layers.entries()) {
    const { module, outputSize } = base.linears[index]!;
    expect(a).toEqual(values.get(`${module}.lora_A`));
    // Turned round, and times alpha/√rank = 4.
    const stored = values.get(`${module}.lora_B`)!;
    expect(b).toEqual(b.map((_, at) => stored[(at % outputSize) * 4 + Math.floor(at / outputSize)]! * 4));
  }
  const config = JSON.parse(await readFile(path.join(directory, "adapter_config.json"), "utf8"));
  expect(config).toMatchObject({ peft_type: "LORA", r: 4, lora_alpha: 8, use_rslora: true, fan_in_fan_out: family === "gpt2" });
});
