import { expect, test } from "vitest";
import { seededRandom, VirtualClock } from "#kernel";
import { StepSpeed } from "./step-speed.ts";

/** What an engine has counted at its start. */
const NOTHING_DONE = {
  steps: 0,
  insideRunMs: 0,
  outsideRunMs: 0,
  promptTokens: 0,
  completionTokens: 0,
  speculation: { draftedTokens: 0, acceptedTokens: 0 },
};

/** An engine whose step takes 10 + 0.5 a row + 0.2 a prompt's token, looked at once a second. */
async function measured(looks: number, rowsAt: (look: number) => number, promptTokensAt: (look: number) => number, acceptedPerRow = 0) {
  const clock = new VirtualClock();
  const speed = new StepSpeed(clock);
  const counters = { ...NOTHING_DONE };
  speed.look({ ...counters });
  for (let look = 0; look < looks; look++) {
    await clock.advance(1000);
    const [rows, promptTokens] = [rowsAt(look), promptTokensAt(look)];
    counters.steps += 20;
    const accepted = 20 * rows * acceptedPerRow;
    counters.completionTokens += 20 * rows + accepted;
    counters.speculation = { draftedTokens: 0, acceptedTokens: counters.speculation.acceptedTokens + accepted };
    counters.promptTokens += 20 * promptTokens;
    counters.insideRunMs += 20 * (10 + 0.5 * rows + 0.2 * promptTokens);
    speed.look({ ...counters });
  }
  return speed.costs(32);
}

test("tells what a step, a row and a prompt's token cost apart, from steps that were different", async () => {
  const random = seededRandom(1);
  const costs = await measured(
    60,
    () => random.below(32),
    () => random.below(64),
  );
  expect(costs!.rowMs).toBeCloseTo(0.5, 1);
  expect(costs!.promptTokenMs).toBeCloseTo(0.2, 1);
  // As many of either came: a full batch's completion takes 10 / 32 + 0.5, and about two prompt tokens.
  expect(costs!.tokensPerSecondMax).toBeGreaterThan(2000);
  expect(costs!.tokensPerSecondMax).toBeLessThan(3000);
});

test("a row costs the same whether drafts bring it several tokens in a step or not", async () => {
  const rows = seededRandom(1);
  const costs = await measured(
    60,
    () => rows.below(32),
    () => 0,
    2,
  );
  expect(costs!.rowMs).toBeCloseTo(0.5, 1);
});

test("says nothing before anything ran, and nothing below zero or infinite when all steps were alike", async () => {
  expect(new StepSpeed(new VirtualClock()).costs(8)).toBeUndefined();
  const costs = await measured(
    30,
    () => 4,
    () => 0,
  );
  expect(costs!.stepMs).toBeCloseTo(12);
  for (const value of Object.values(costs!)) expect(value >= 0 && Number.isFinite(value)).toBe(true);
});

test("a node that had a bad moment and was not asked since is not slow for ever", async () => {
  const clock = new VirtualClock();
  const speed = new StepSpeed(clock);
  const counters = { ...NOTHING_DONE };
  const run = async (stepMs: number) => {
    await clock.advance(1000);
    counters.steps += 20;
    counters.completionTokens += 20;
    counters.insideRunMs += 20 * stepMs;
    speed.look({ ...counters });
    return speed.costs(8)!.stepMs;
  };
  speed.look({ ...counters });
  for (let look = 0; look < 30; look++) await run(10);
  expect(await run(200)).toBeGreaterThan(30);
  await clock.advance(30_000);
  expect(speed.costs(8)!.stepMs).toBeLessThan(20);
});
