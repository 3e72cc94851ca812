import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { asTenantId, deltaDigest, systemClock } from "#kernel";
import { inspectDelta, loadDelta } from "#model";
import { type Engine, startEngineProcess } from "#node-agent";
import { GREEDY, sequenceSpec, tokensOf } from "../../node-agent/engine/testing/sequence-spec.ts";
import { softwareDevice } from "../software-device.ts";

const CASE = path.join(import.meta.dirname, "../golden/files/llama-gqa-tied");
const TOKENS = 6;
const never = new AbortController().signal;
const device = softwareDevice();

interface Variant {
  readonly delta: string | null;
  readonly prompts: readonly { readonly tokens: readonly number[]; readonly greedy: readonly number[] }[];
}

describe.skipIf(!device)("an engine process on a software device (skipped without chromium, which carries it)", () => {
  let engine: Engine;
  beforeAll(async () => {
    for (const [name, value] of Object.entries(device!)) vi.stubEnv(name, value);
    const limits = { rowsMax: 4, kvTokensMax: 1024, slotsMax: 2, tableRanksMax: 64 };
    const compute = { provider: "webgpu", weights: "float32" } as const;
    engine = await startEngineProcess(
      { clock: systemClock },
      { directory: path.join(CASE, "base"), name: "golden", threads: 1, limits, compute, engine: {} },
    );
  }, 240_000);
  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    vi.unstubAllEnvs();
  });

  test("writes the reference's texts, of the base and of a delta, and a seeded one that another attempt continues", async () => {
    const { variants } = JSON.parse(await readFile(path.join(CASE, "expected.json"), "utf8")) as { variants: readonly Variant[] };
    const [base, changed] = [variants[0]!, variants[1]!];
    const folder = path.join(CASE, changed.delta!);
    const identity = { tenantId: asTenantId("golden"), baseDigest: engine.base.digest };
    const digest = deltaDigest({ ...identity, ...(await inspectDelta(folder, engine.base)) });
    const slot = await engine.attach(await loadDelta(folder, { ...identity, digest }, engine.base));
    const ask = (variant: Variant, different: object) =>
      tokensOf(engine.generate(sequenceSpec({ promptTokens: variant.prompts[0]!.tokens, maxTokens: TOKENS, ...different }), never));
    const sampling = { ...GREEDY, temperature: 0.9, topK: 20, seed: 77n };
    const [plain, delta, seeded] = await Promise.all([ask(base, {}), ask(changed, { slot }), ask(changed, { slot, sampling })]);
    expect(plain).toEqual(base.prompts[0]!.greedy.slice(0, TOKENS));
    expect(delta).toEqual(changed.prompts[0]!.greedy.slice(0, TOKENS));
    expect(await ask(changed, { slot, sampling, emittedTokens: seeded.slice(0, 4) })).toEqual(seeded.slice(4));
  }, 240_000);
});
