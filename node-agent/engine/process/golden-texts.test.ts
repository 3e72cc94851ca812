import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { asTenantId, deltaDigest, systemClock } from "#kernel";
import { type BaseInfo, inspectDelta, type LoadedDelta, loadDelta } from "#model";
import type { Engine } from "../contract.ts";
import type { EngineOptions } from "../engine-options.ts";
import { GREEDY, sequenceSpec, tokensOf } from "../testing/sequence-spec.ts";
import { startEngineProcess } from "./process-engine.ts";

const CASE = path.join(import.meta.dirname, "../../../test/golden/files/llama-gqa-tied");
const never = new AbortController().signal;

interface Variant {
  readonly name: string;
  readonly delta: string | null;
  readonly prompts: readonly { readonly tokens: readonly number[]; readonly greedy: readonly number[] }[];
}

let engine: Engine | undefined;

afterEach(() => engine?.[Symbol.asyncDispose]());

async function startGolden(options: Partial<EngineOptions>): Promise<Engine> {
  const limits = { rowsMax: 6, kvTokensMax: 4096, slotsMax: 8, tableRanksMax: 512 };
  engine = await startEngineProcess(
    { clock: systemClock },
    { directory: path.join(CASE, "base"), name: "golden", threads: 1, limits, engine: options },
  );
  return engine;
}

async function goldenDelta(directory: string, base: BaseInfo): Promise<LoadedDelta> {
  const identity = { tenantId: asTenantId("golden"), baseDigest: base.digest };
  return loadDelta(directory, { ...identity, digest: deltaDigest({ ...identity, ...(await inspectDelta(directory, base)) }) }, base);
}

describe("the real engine, in its process, over a tiny base and eight deltas", () => {
  test.each([{}, { prefillTokensMax: 11, chunkTokensMin: 2 }])("writes the reference's texts, all at once, with %j", async (options) => {
    const { variants } = JSON.parse(await readFile(path.join(CASE, "expected.json"), "utf8")) as { variants: readonly Variant[] };
    const golden = await startGolden(options);
    const asked = variants.map(async ({ delta, prompts }) => {
      const slot = delta === null ? undefined : await golden.attach(await goldenDelta(path.join(CASE, delta), golden.base));
      const specs = prompts.map(({ tokens, greedy }) => sequenceSpec({ promptTokens: tokens, maxTokens: greedy.length, slot }));
      return Promise.all(specs.map((spec) => tokensOf(golden.generate(spec, never))));
    });
    expect(await Promise.all(asked)).toEqual(variants.map(({ prompts }) => prompts.map(({ greedy }) => greedy)));
  });

  test("a seeded text is the same beside others, and when another attempt continues it", async () => {
    const golden = await startGolden({});
    const sampling = { ...GREEDY, temperature: 1.2, topP: 0.9, seed: 77n };
    const ask = (different: object) => tokensOf(golden.generate(sequenceSpec({ maxTokens: 40, sampling, ...different }), never));
    const alone = await ask({});
    const [beside, continued] = await Promise.all([ask({}), ask({ emittedTokens: alone.slice(0, 13) }), ask({ promptTokens: [1, 2] })]);
    expect(beside).toEqual(alone);
    expect(continued).toEqual(alone.slice(13));
  });
});
