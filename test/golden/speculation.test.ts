import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "#kernel";
import type { Engine, Slot } from "#node-agent";
// Inside the door: the engine over the runner in this process, with the reference's weights.
import { openEngine } from "../../node-agent/engine/engine.ts";
import { sequenceSpec } from "../../node-agent/engine/testing/sequence-spec.ts";
import { type GoldenCase, goldenCases, readGoldenCase } from "./golden-case.ts";
import { loadFolder, openGoldenRunner } from "./golden-runner.ts";

/** The promise: log-probabilities in float32 differ by no more, however many tokens are computed at once. */
const TOLERANCE = 1e-4;

async function openGolden(golden: GoldenCase, draftTokensMax: number) {
  const engine = openEngine(await openGoldenRunner(golden), { clock: systemClock, yieldTurn: () => nextTurn() }, { draftTokensMax });
  const slots: (Slot | undefined)[] = [];
  for (const { deltaDirectory } of golden.variants)
    slots.push(deltaDirectory === undefined ? undefined : await engine.attach(await loadFolder(deltaDirectory, engine.base)));
  return { engine, slots };
}

/** Prompt and text over these few tokens, so that the text finds its own end again and again. */
const TOKENS = [3, 4, 5, 6, 7];
const PROMPT = Array.from({ length: 70 }, (_, index) => TOKENS[(index * index) % TOKENS.length]!);
const ONLY_THESE = new Map(TOKENS.map((token) => [token, 20]));

async function read(engine: Engine, slot: Slot | undefined, temperature: number) {
  const sampling = {
    ...sequenceSpec().sampling,
    temperature,
    topK: 5,
    seed: 7n,
    logitBias: ONLY_THESE,
    frequencyPenalty: 0.01,
    topLogprobs: 1,
  };
  const spec = sequenceSpec({ promptTokens: PROMPT, slot, sampling, maxTokens: 48 });
  const events = await Array.fromAsync(engine.generate(spec, new AbortController().signal));
  return events.flatMap((event) => (event.kind === "token" ? [event] : []));
}

test.each(await goldenCases())(
  "%s: with drafts, one text at a time and two on deltas, the reference's and the seeded texts are the same",
  async (name) => {
    const golden = await readGoldenCase(name);
    const [plain, drafting] = [await openGolden(golden, 0), await openGolden(golden, 7)];
    await using without = plain.engine;
    await using drafted = drafting.engine;
    for (const [index, { prompts }] of golden.variants.entries()) {
      const { tokens: promptTokens, greedy } = prompts.find(({ kind }) => kind === "long")!;
      const spec = sequenceSpec({ promptTokens, slot: drafting.slots[index], maxTokens: 64 });
      const events = await Array.fromAsync(drafted.generate(spec, new AbortController().signal));
      expect(events.flatMap((event) => (event.kind === "token" ? [event.tokenId] : []))).toEqual(greedy);
    }
    for (const temperature of [0, 0.4]) {
      const both = ({ engine, slots }: typeof plain) => Promise.all(slots.slice(0, 2).map((slot) => read(engine, slot, temperature)));
      const [expected, found] = [await both(plain), await both(drafting)];
      for (const [index, tokens] of found.entries()) {
        expect(tokens.map(({ tokenId, finish }) => [tokenId, finish])).toEqual(
          expected[index]!.map(({ tokenId, finish }) => [tokenId, finish]),
        );
        for (const [at, { logprob }] of tokens.entries())
          expect(Math.abs(logprob!.logprob - expected[index]![at]!.logprob!.logprob)).toBeLessThan(TOLERANCE);
      }
    }
    expect(without.load().speculation.draftedTokens).toBe(0);
    expect(drafted.load().speculation.acceptedTokens).toBeGreaterThan(20); // Else this has shown nothing.
  },
);
