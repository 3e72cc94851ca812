import { expect, test } from "vitest";
import { asTenantId, VirtualClock } from "#kernel";
import { openEngine } from "./engine.ts";
import { sequenceSpec, tokensOf } from "./testing/sequence-spec.ts";
import { ToyRunner, toyText } from "./testing/toy-runner.ts";

const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("rows of who has many sit out another's prompt, a few steps at a time, and write what they would have written", async () => {
  const runner = new ToyRunner();
  await using engine = openEngine(runner, { clock: new VirtualClock(), yieldTurn: turn }, { prefillTokensMax: 4, yieldTokensMax: 16 });
  const hot = [0, 1, 2].map(() => tokensOf(engine.generate(sequenceSpec({ maxTokens: 40 }), never)));
  for (let step = 0; step < 8; step++) await turn();
  const promptTokens = Array.from({ length: 24 }, (_, index) => index);
  const light = tokensOf(engine.generate(sequenceSpec({ tenantId: asTenantId("light"), promptTokens }), never));
  expect(await light).toEqual(toyText(promptTokens, 10));
  const chunked = runner.steps.filter((rows) => rows.some(({ tokens }) => tokens.length === 4));
  expect(chunked.map((rows) => rows.length)).toEqual([1, 1, 1, 4, 1, 1]);
  for (const text of await Promise.all(hot)) expect(text).toEqual(toyText([5, 6, 7], 40));
});
