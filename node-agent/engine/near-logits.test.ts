import { expect, test } from "vitest";
import { VirtualClock } from "#kernel";
import type { Sampling } from "./contract.ts";
import { openEngine } from "./engine.ts";
import { eventsOf, GREEDY, sequenceSpec, tokensOf } from "./testing/sequence-spec.ts";
import { ToyRunner, toyDelta, toyText } from "./testing/toy-runner.ts";

// An engine over a runner that lies on the far side of a bus: it gives the largest logits only, and takes deltas in parts.

const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function farEngine(topCount: number | undefined) {
  const runner = new ToyRunner();
  runner.topCount = topCount;
  return { runner, engine: openEngine(runner, { clock: new VirtualClock(), yieldTurn: turn }) };
}

const SAMPLINGS: readonly (readonly [string, Sampling])[] = [
  ["greedy, with log-probabilities", { ...GREEDY, topLogprobs: 3 }],
  ["top-k", { ...GREEDY, temperature: 1.5, topK: 4, seed: 3n }],
  ["a top-k larger than what comes back", { ...GREEDY, temperature: 3, topK: 50, seed: 4n }],
  ["top-p", { ...GREEDY, temperature: 1, topP: 0.9, seed: 5n, topLogprobs: 0 }],
  ["top-p of a flat distribution", { ...GREEDY, temperature: 40, topP: 0.9, seed: 6n }],
  ["min-p", { ...GREEDY, temperature: 1, minP: 0.1, seed: 7n }],
  ["temperature alone", { ...GREEDY, temperature: 2, seed: 8n }],
  ["penalties", { ...GREEDY, temperature: 1, topP: 0.9, frequencyPenalty: 2, seed: 9n }],
];

test.each(SAMPLINGS)("a text is the same whether all logits come back or the largest (%s)", async (_, sampling) => {
  const spec = () => sequenceSpec({ id: "text", sampling, maxTokens: 30 });
  const all = await eventsOf(farEngine(undefined).engine.generate(spec(), never));
  const largest = await eventsOf(farEngine(5).engine.generate(spec(), never));
  expect(largest.map(rounded)).toEqual(all.map(rounded));
});

test("the largest are enough for a text that asks for them, and only the last token of a prompt has logits", async () => {
  const { engine, runner } = farEngine(5);
  runner.beforeDense = () => expect.unreachable("all logits were fetched");
  expect(await tokensOf(engine.generate(sequenceSpec(), never))).toEqual(toyText([5, 6, 7], 10));
  expect(new Set(runner.steps.flat().map(({ logits }) => logits))).toEqual(new Set(["top"]));
});

test("where they were not enough, all are fetched at once, and asked for at first for a while", async () => {
  const { engine, runner } = farEngine(5);
  let fetches = 0;
  runner.beforeDense = () => fetches++;
  const sampling = { ...GREEDY, temperature: 40, topP: 0.9, seed: 1n };
  await tokensOf(engine.generate(sequenceSpec({ sampling, maxTokens: 18 }), never));
  const asked = runner.steps.flat().map(({ logits }) => logits);
  expect(asked).toEqual([...["top"], ...Array(7).fill("last"), ...["top"], ...Array(7).fill("last"), ...["top", "last"]]);
  expect(fetches).toBe(3);
});

test("a text that is cancelled while all its logits are on their way leaves the others alone", async () => {
  const { engine, runner } = farEngine(5);
  const abort = new AbortController();
  runner.beforeDense = () => abort.abort(new Error("gone"));
  const sampling = { ...GREEDY, temperature: 40, topP: 0.9 };
  const cancelled = tokensOf(engine.generate(sequenceSpec({ sampling }), abort.signal));
  const other = tokensOf(engine.generate(sequenceSpec(), never));
  await expect(cancelled).rejects.toThrow("gone");
  expect(await other).toEqual(toyText([5, 6, 7], 10));
});

test("a delta that comes in parts lets running rows step in between, and is used when all of it is there", async () => {
  const { engine, runner } = farEngine(undefined);
  runner.partsPerDelta = 4;
  const text = tokensOf(engine.generate(sequenceSpec({ maxTokens: 50 }), never));
  await turn();
  await turn();
  const before = runner.steps.length;
  const slot = await engine.attach(toyDelta(3));
  expect(runner.steps.length - before).toBeGreaterThanOrEqual(3);
  expect(await tokensOf(engine.generate(sequenceSpec({ slot }), never))).toEqual(toyText([5, 6, 7], 10, 3));
  expect(await text).toEqual(toyText([5, 6, 7], 50));
  await engine.detach(slot);
  await engine[Symbol.asyncDispose]();
});

test("a delta that breaks on its way is refused, and its slot is free again", async () => {
  const { engine, runner } = farEngine(undefined);
  runner.partsPerDelta = 2;
  let fills = 0;
  runner.beforeFill = () => {
    if (++fills === 2) throw new Error("the bus broke");
  };
  await expect(engine.attach(toyDelta(1))).rejects.toThrow("the bus broke");
  const slots = await Promise.all([2, 3, 4].map((shift) => engine.attach(toyDelta(shift))));
  expect(new Set(slots).size).toBe(runner.limits.slotsMax);
  await engine[Symbol.asyncDispose]();
});

function rounded(event: unknown): unknown {
  return JSON.parse(JSON.stringify(event, (_, value) => (typeof value === "number" ? Math.round(value * 1e5) / 1e5 : value)));
}
