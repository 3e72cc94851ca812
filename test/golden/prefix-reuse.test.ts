import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { asTenantId, systemClock, type TenantId } from "#kernel";
import { BLOCK_TOKENS } from "#model";
import type { Engine, SequenceEvent, Slot } from "#node-agent";
// Inside the door: the engine over the runner in this process, with the reference's weights.
import { openEngine } from "../../node-agent/engine/engine.ts";
import { sequenceSpec } from "../../node-agent/engine/testing/sequence-spec.ts";
import { type GoldenVariant, goldenCases, readGoldenCase } from "./golden-case.ts";
import { loadFolder, openGoldenRunner } from "./golden-runner.ts";

/** The promise: log-probabilities in float32 differ by no more, however a text was cut. */
const TOLERANCE = 1e-4;
/** Of texts that come at once with nothing kept: what begins wrong shows in the first. */
const TOGETHER_TOKENS = 8;

/** Each variant's long prompt and the tokens that follow, all in one batch. */
function ask(
  engine: Engine,
  variants: readonly GoldenVariant[],
  slots: ReadonlyMap<GoldenVariant, Slot>,
  tenantId: TenantId,
  maxTokens = 64,
) {
  const sampling = { ...sequenceSpec().sampling, topLogprobs: 0 };
  return Promise.all(
    variants.map(async (variant) => {
      const promptTokens = promptOf(variant).tokens;
      const spec = sequenceSpec({ tenantId, promptTokens, slot: slots.get(variant), sampling, maxTokens });
      const events = await Array.fromAsync(engine.generate(spec, new AbortController().signal));
      const tokens = events.filter((event): event is SequenceEvent & { kind: "token" } => event.kind === "token");
      return { greedy: tokens.map(({ tokenId }) => tokenId), logprobs: tokens.map(({ logprob }) => logprob!.logprob) };
    }),
  );
}

function promptOf(variant: GoldenVariant) {
  return variant.prompts.find(({ kind }) => kind === "long")!;
}

/** What equal prompts can have in common. */
function commonTokens(prompt: readonly number[]): number {
  return BLOCK_TOKENS * Math.floor((prompt.length - 1) / BLOCK_TOKENS);
}

test.each(await goldenCases())("%s: what begins where an earlier text of its tenant is kept is the reference's text", async (name) => {
  const golden = await readGoldenCase(name);
  await using engine = openEngine(await openGoldenRunner(golden), { clock: systemClock, yieldTurn: () => nextTurn() });
  const slots = new Map<GoldenVariant, Slot>();
  for (const variant of golden.variants) {
    if (variant.deltaDirectory !== undefined)
      slots.set(variant, await engine.attach(await loadFolder(variant.deltaDirectory, engine.base)));
  }
  const { variants } = golden;
  const tokensOf = (asked: readonly GoldenVariant[]) => asked.reduce((sum, variant) => sum + promptOf(variant).tokens.length, 0);
  const cold = await ask(engine, variants, slots, asTenantId("acme"));
  expect(engine.load()).toMatchObject({ promptTokens: tokensOf(variants), prefixes: { hitTokens: 0 } });
  const again = [...variants, ...variants.slice(0, 2)]; // Two of them twice, so that rows of one step have a beginning in common.
  const warm = await ask(engine, again, slots, asTenantId("acme"));
  const { hitTokens } = engine.load().prefixes;
  expect(hitTokens).toBeGreaterThanOrEqual(tokensOf(again) / 2);
  expect(engine.load().promptTokens).toBe(tokensOf(variants) + tokensOf(again) - hitTokens);
  await ask(engine, variants, slots, asTenantId("rival"), 1);
  expect(engine.load().prefixes.hitTokens, "nothing of another tenant's").toBe(hitTokens);
  expect(engine.load().promptTokens).toBe(2 * tokensOf(variants) + tokensOf(again) - hitTokens);
  // All at once, and nothing kept: who has its turn computes for those that begin alike.
  const together = await ask(engine, [...variants, ...variants], slots, asTenantId("newcomer"), TOGETHER_TOKENS);
  const spared = engine.load().prefixes.hitTokens - hitTokens;
  expect(spared).toBeGreaterThanOrEqual(variants.reduce((sum, variant) => sum + commonTokens(promptOf(variant).tokens), 0) / 2);
  for (const [index, variant] of again.entries()) {
    const { greedy, logprobs } = cold[index % variants.length]!;
    expect(greedy).toEqual(promptOf(variant).greedy);
    for (const other of [warm[index]!, together[index]!, together[index + variants.length] ?? together[index]!]) {
      expect(other.greedy).toEqual(greedy.slice(0, other.greedy.length));
      for (const [at, logprob] of other.logprobs.entries()) expect(Math.abs(logprob - logprobs[at]!)).toBeLessThan(TOLERANCE);
    }
  }
});
