import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { asTenantId, VirtualClock, VirtualTokenCounter } from "#kernel";
import type { SequenceSpec, Slot } from "../contract.ts";
import { openEngine } from "../engine.ts";
import type { EngineOptions } from "../engine-options.ts";
import type { RunnerLimits } from "../runner/contract.ts";
import { GREEDY, sequenceSpec } from "../testing/sequence-spec.ts";
import { TOY_BASE, TOY_VOCABULARY, ToyRunner, toyDelta, toyText } from "../testing/toy-runner.ts";

const SEED = 20_261_123; // fast-check prints it, with the path, when a property fails.
const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const UNIT = 4;
/** Of prompts in one step. */
const STEP_TOKENS = 16;
/** What the toy needs for a token: with it, the virtual clock tells what a text had to wait for. */
const TOKEN_MS = 10;
const [ACME, RIVAL] = [asTenantId("acme"), asTenantId("rival")];
const PREFIX = Array.from({ length: 40 }, (_, index) => (index * 7) % TOY_VOCABULARY);
/** The common prompt, and a question of eight tokens. */
const question = (number: number) => [...PREFIX, ...Array.from({ length: 8 }, (_, index) => (number * 11 + index) % TOY_VOCABULARY)];

function toyEngine(options: Partial<EngineOptions> = {}, limits: Partial<RunnerLimits> = {}) {
  const runner = new ToyRunner({ rowsMax: 8, ...limits }, TOY_BASE, UNIT);
  const clock = new VirtualClock();
  const step = runner.run.bind(runner);
  runner.run = async (rows) => {
    await clock.advance(TOKEN_MS * rows.reduce((sum, { tokens }) => sum + tokens.length, 0));
    return step(rows);
  };
  const engine = openEngine(runner, { clock, yieldTurn: turn }, { prefillTokensMax: STEP_TOKENS, chunkTokensMin: 1, ...options });
  /** One text, to its end: what it told, and when its first token came. */
  const ask = async (different: Partial<SequenceSpec>, signal = never) => {
    const tokens: number[] = [];
    let [reused, firstTokenMs] = [0, 0];
    for await (const event of engine.generate(sequenceSpec({ maxTokens: 1, ...different }), signal)) {
      if (event.kind === "reused") reused = event.promptTokens;
      if (event.kind === "token" && tokens.push(event.tokenId) === 1) firstTokenMs = clock.monotonic();
    }
    return { text: tokens, reused, firstTokenMs };
  };
  const computedTokens = () => runner.steps.flat().reduce((sum, { tokens }) => sum + tokens.length, 0);
  return { runner, engine, clock, ask, computedTokens };
}

/** Rows are closed in the turn after their text's end. */
async function untilClosed(runner: ToyRunner): Promise<void> {
  for (let waited = 0; waited < 100 && runner.openRows > 0; waited++) await turn();
  expect(runner.openRows).toBe(0);
}

/** Aborts when the `count`-th step has begun. */
function abortInStep(runner: ToyRunner, count: number): AbortSignal {
  const abort = new AbortController();
  runner.beforeRun = () => (runner.steps.length === count ? abort.abort(new Error("given up")) : undefined);
  return abort.signal;
}

describe("texts of one tenant that begin alike and come at once", () => {
  test("are computed as far as that once, and each is told how much it was spared", async () => {
    const { engine, ask, computedTokens } = toyEngine();
    const texts = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((number) => ask({ promptTokens: question(number) })));
    expect(texts.map(({ text }) => text)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((number) => toyText(question(number), 1)));
    expect(texts.map(({ reused }) => reused)).toEqual([0, 40, 40, 40, 40, 40, 40, 40]);
    expect(computedTokens()).toBe(40 + 8 * 8);
    expect(texts.at(-1)!.firstTokenMs).toBe((40 + 8 * 8) * TOKEN_MS);
    expect(engine.load()).toMatchObject({ promptTokens: 104, prefixes: { queriedTokens: 8 * 48, hitTokens: 7 * 40 } });
  });

  test("are each computed in full where nothing is to be kept", async () => {
    const { engine, ask, computedTokens } = toyEngine({ prefixShare: 0 });
    const texts = await Promise.all([0, 1, 2].map((number) => ask({ promptTokens: question(number) })));
    expect(texts.map(({ reused }) => reused)).toEqual([0, 0, 0]);
    expect(computedTokens()).toBe(3 * 48);
    expect(engine.load().prefixes).toMatchObject({ queriedTokens: 0, hitTokens: 0 });
  });

  test("part where they become different", async () => {
    const { ask, computedTokens } = toyEngine();
    const prompts = [
      question(0),
      [...PREFIX.slice(0, 22), ...question(1)],
      question(2),
      [...PREFIX.slice(0, 22), ...question(3)],
      [100, 1, 2],
    ];
    const texts = await Promise.all(prompts.map((promptTokens) => ask({ promptTokens })));
    expect(texts.map(({ text }) => text)).toEqual(prompts.map((prompt) => toyText(prompt, 1)));
    // The fourth has 60 in common with the second, of which it had begun three: what a step has left goes to whoever is next.
    expect(texts.map(({ reused }) => reused)).toEqual([0, 20, 40, 57, 0]);
    expect(computedTokens()).toBe(prompts.flat().length - 117);
  });

  test("do not wait for all of a longer one: who comes while it is computed begins where it has got to", async () => {
    const { runner, ask } = toyEngine();
    const long = ask({ promptTokens: [...PREFIX, ...PREFIX] });
    while (runner.steps.length < 2) await turn();
    const short = await ask({ promptTokens: [...PREFIX.slice(0, 32), 1] });
    expect(short).toMatchObject({ text: toyText([...PREFIX.slice(0, 32), 1], 1), reused: 32 });
    expect(short.firstTokenMs).toBeLessThan((await long).firstTokenMs);
  });

  test("take nothing from, and give nothing to, one whose prompt is scored", async () => {
    const { ask, computedTokens } = toyEngine();
    const scored = { promptTokens: question(0), promptLogprobs: true };
    const texts = await Promise.all([ask(scored), ask({ promptTokens: question(1) }), ask(scored)]);
    expect(texts.map(({ reused }) => reused)).toEqual([0, 0, 0]);
    expect(computedTokens()).toBe(3 * 48);
  });
});

describe("nobody depends on who was first", () => {
  test("when that one is given up, the others go on where it was", async () => {
    const { runner, engine, ask, computedTokens } = toyEngine();
    const first = ask({ promptTokens: question(0) }, abortInStep(runner, 2));
    const others = Promise.all([1, 2, 3].map((number) => ask({ promptTokens: question(number) })));
    await expect(first).rejects.toThrow("given up");
    expect((await others).map(({ text }) => text)).toEqual([1, 2, 3].map((number) => toyText(question(number), 1)));
    expect((await others).map(({ reused }) => reused)).toEqual([32, 40, 40]);
    expect(computedTokens()).toBe(40 + 3 * 8);
    await untilClosed(runner);
    expect(engine.load().kvTokensUsed).toBe(0);
  });

  test("when that one loses its row, as well, and it comes back to what they have computed", async () => {
    const { runner, engine, ask, computedTokens } = toyEngine({}, { rowsMax: 3 });
    const texts = [0, 1, 2].map((number) => ask({ promptTokens: question(number) }));
    while (runner.steps.length < 1) await turn();
    const rival = await ask({ tenantId: RIVAL, promptTokens: [1, 2, 3] });
    expect(rival.text).toEqual(toyText([1, 2, 3], 1));
    expect((await Promise.all(texts)).map(({ text }) => text)).toEqual([0, 1, 2].map((number) => toyText(question(number), 1)));
    expect(engine.load().parkings).toBe(1);
    expect(computedTokens()).toBe(40 + 3 * 8 + 3);
  });

  test("when its logits are not finite, it fails alone, and nothing is had of it from then on", async () => {
    const { runner, ask } = toyEngine();
    const original = runner.run.bind(runner);
    runner.run = async (rows) => {
      const logits = await original(rows);
      return runner.steps.length === 3 ? logits.map((row) => (row as Float32Array).map(() => Number.NaN)) : logits;
    };
    const sampling = { ...GREEDY, temperature: 1 };
    const broken = ask({ promptTokens: question(0), sampling });
    const late = (async () => {
      while (runner.steps.length < 3) await turn();
      return await ask({ promptTokens: question(1) });
    })();
    await expect(broken).rejects.toMatchObject({ reason: "bug" });
    expect(await late).toMatchObject({ text: toyText(question(1), 1), reused: 0 });
  });

  test("what is not computed weighs nothing in whose turn is next", async () => {
    const started = vi.spyOn(VirtualTokenCounter.prototype, "started");
    const corrected = vi.spyOn(VirtualTokenCounter.prototype, "corrected");
    const { engine, ask } = toyEngine();
    await Promise.all([0, 1, 2, 3].map((number) => ask({ promptTokens: question(number) })));
    const weighed = [...started.mock.calls, ...corrected.mock.calls].reduce((sum, [, tokens]) => sum + tokens, 0);
    vi.restoreAllMocks();
    expect(weighed).toBe(40 + 4 * 8);
    expect(engine.load().promptTokens).toBe(weighed);
  });
});

describe("nothing is had of somebody else's", () => {
  const cases: readonly [string, (delta: Slot) => Partial<SequenceSpec>][] = [
    ["another tenant", () => ({ tenantId: RIVAL })],
    ["another delta of the same tenant", (slot) => ({ slot })],
  ];
  test.each(cases)(
    "%s that asks the same at the same time takes as long, and makes wait as long, as one that asks something else",
    async (_, who) => {
      const outcome = async (others: (number: number) => number[]) => {
        const { engine, ask, computedTokens } = toyEngine();
        const different = who(await engine.attach(toyDelta(0)));
        const [own, other] = await Promise.all([ask({ promptTokens: question(0) }), ask({ promptTokens: others(1), ...different })]);
        return [own, { ...other, text: other.text.length }, computedTokens()];
      };
      const foreign = (number: number) => question(number).map((token) => (token + 50) % TOY_VOCABULARY);
      expect(await outcome(question)).toEqual(await outcome(foreign));
    },
  );
});

test("whatever comes and goes: every text is its own, every row is given back, and no more is kept than may be", async () => {
  const asked = fc.record({
    tenantId: fc.constantFrom(ACME, RIVAL),
    delta: fc.nat({ max: 2 }),
    promptTokens: fc.array(fc.constantFrom(1, 1, 1, 2), { minLength: 1, maxLength: 40 }),
    maxTokens: fc.integer({ min: 1, max: 12 }),
    afterSteps: fc.nat({ max: 12 }),
    abortAfterTurns: fc.option(fc.nat({ max: 40 })),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(asked, { minLength: 2, maxLength: 12, size: "max" }),
      fc.integer({ min: 1, max: 5 }),
      async (requests, rowsMax) => {
        const { runner, engine, ask } = toyEngine({ prefixShare: 0.2, draftTokensMax: 3 }, { rowsMax, kvTokensMax: 200 });
        const slots = [undefined, await engine.attach(toyDelta(3)), await engine.attach(toyDelta(40))];
        const texts = requests.map(async ({ delta, afterSteps, abortAfterTurns, ...request }) => {
          for (let waited = 0; waited < afterSteps; waited++) await turn();
          const abort = new AbortController();
          const text = ask({ ...request, slot: slots[delta] }, abort.signal).catch(() => undefined);
          for (let waited = 0; waited < (abortAfterTurns ?? 0); waited++) await turn();
          if (abortAfterTurns !== null) abort.abort();
          return await text;
        });
        for (const [index, text] of (await Promise.all(texts)).entries()) {
          const { promptTokens, maxTokens, delta, abortAfterTurns } = requests[index]!;
          if (abortAfterTurns === null) expect(text).toBeDefined();
          if (text) expect(text.text).toEqual(toyText(promptTokens, maxTokens, [0, 3, 40][delta]));
        }
        await untilClosed(runner);
        expect([engine.load().kvTokensUsed, engine.load().rowsRunning]).toEqual([0, 0]);
        expect(runner.prefixes.keptTokens).toBeLessThanOrEqual(40);
        for (const slot of slots) if (slot !== undefined) await engine.detach(slot);
        await engine[Symbol.asyncDispose]();
      },
    ),
    { seed: SEED, numRuns: 40 },
  );
});
