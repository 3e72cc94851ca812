import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asTenantId, VirtualClock } from "#kernel";
import type { Sampling, SequenceEvent, SequenceSpec } from "../contract.ts";
import { openEngine } from "../engine.ts";
import type { EngineOptions } from "../engine-options.ts";
import type { RunnerLimits } from "../runner/contract.ts";
import { eventsOf, GREEDY, sequenceSpec } from "../testing/sequence-spec.ts";
import { TOY_BASE, ToyRunner, toyDelta } from "../testing/toy-runner.ts";

const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const SHIFTS = [0, 3, 40];

/** Texts over a few tokens, each of which follows from the two before it: they soon repeat themselves. */
async function openToy(options: Partial<EngineOptions> = {}, limits: Partial<RunnerLimits> = {}) {
  const runner = new ToyRunner(limits, TOY_BASE, 4);
  runner.repeating = { memoryTokens: 2, vocabularySize: 5 };
  const engine = openEngine(runner, { clock: new VirtualClock(), yieldTurn: turn }, { prefillTokensMax: 8, chunkTokensMin: 1, ...options });
  const slots = [undefined, await engine.attach(toyDelta(SHIFTS[1]!)), await engine.attach(toyDelta(SHIFTS[2]!))];
  return { runner, engine, slots };
}

interface Asked {
  readonly delta: number;
  readonly tenant: string;
  readonly promptTokens: number[];
  readonly emittedTokens: number[];
  readonly maxTokens: number;
  readonly stop: number | undefined;
  readonly promptLogprobs: boolean;
  readonly sampling: Partial<Sampling>;
  /** The reader leaves after so many events; undefined: it stays. */
  readonly leavesAfter: number | undefined;
  /** Of the event loop, between two events that it reads. */
  readonly turnsBetween: number;
}

const token = fc.nat({ max: 6 });
const sampling: fc.Arbitrary<Partial<Sampling>> = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1),
  topK: fc.constantFrom(0, 3),
  topP: fc.constantFrom(1, 0.8),
  minP: fc.constantFrom(0, 0.05),
  seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  repetitionPenalty: fc.constantFrom(1, 1.2),
  presencePenalty: fc.constantFrom(0, 0.5),
  frequencyPenalty: fc.constantFrom(0, 0.3),
  logitBias: fc.constantFrom(new Map<number, number>(), new Map([[2, 1.5]])),
  topLogprobs: fc.constantFrom(undefined, 0, 2),
});
const asked: fc.Arbitrary<Asked> = fc.record({
  delta: fc.nat({ max: 2 }),
  tenant: fc.constantFrom("acme", "rival"),
  promptTokens: fc.array(token, { minLength: 1, maxLength: 30 }),
  emittedTokens: fc.array(token, { maxLength: 5 }),
  maxTokens: fc.integer({ min: 6, max: 40 }),
  stop: fc.option(token, { nil: undefined, freq: 3 }),
  promptLogprobs: fc.boolean(),
  sampling,
  leavesAfter: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 4 }),
  turnsBetween: fc.constantFrom(0, 0, 3),
});

const specOf = ({ delta: _delta, tenant, stop, sampling, leavesAfter: _leaves, turnsBetween: _turns, ...spec }: Asked) =>
  sequenceSpec({
    ...spec,
    tenantId: asTenantId(tenant),
    sampling: { ...GREEDY, ...sampling },
    stopTokenIds: new Set(stop === undefined ? [] : [stop]),
  });

/** What each reader saw, in the same order; what was found of earlier texts depends on when those ended, and is left out. */
async function runAll(requests: readonly Asked[], draftTokensMax: number) {
  const { runner, engine, slots } = await openToy(
    { draftTokensMax, undeliveredEventsMax: 6, prefixShare: 1 },
    { rowsMax: 3, kvTokensMax: 160 },
  );
  const read = async (request: Asked) => {
    const events: SequenceEvent[] = [];
    const abort = new AbortController();
    const sequence = { ...specOf(request), slot: slots[request.delta] };
    try {
      for await (const event of engine.generate(sequence, abort.signal)) {
        if (event.kind !== "reused") events.push(event);
        if (events.length === request.leavesAfter) abort.abort("left");
        for (let count = 0; count < request.turnsBetween; count++) await turn();
      }
    } catch (error) {
      if (error !== "left") throw error;
    }
    return events;
  };
  const seen = await Promise.all(requests.map(read));
  await turn();
  await turn();
  const load = engine.load();
  expect(runner.openRows).toBe(0);
  await engine[Symbol.asyncDispose]();
  return { seen, load, steps: runner.steps.length };
}

describe("texts are the same with drafts as without", () => {
  test("whatever the sampling, beside whatever others, on deltas, with prompts in chunks, kept beginnings, slow readers and cancels", async () => {
    const accepted: number[] = [];
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 1, maxLength: 6 }), fc.constantFrom(1, 4, 7), async (requests, draftTokensMax) => {
        const [without, drafted] = [await runAll(requests, 0), await runAll(requests, draftTokensMax)];
        expect(drafted.seen).toEqual(without.seen);
        expect(without.load.speculation).toEqual({ draftedTokens: 0, acceptedTokens: 0 });
        accepted.push(drafted.load.speculation.acceptedTokens);
        if (requests.some(({ leavesAfter }) => leavesAfter !== undefined)) return;
        expect(drafted.load.completionTokens).toBe(without.load.completionTokens);
      }),
      { numRuns: 150 },
    );
    expect(accepted.filter((count) => count > 0).length).toBeGreaterThan(50); // Else this has shown nothing.
  });
});

const LOOP: Partial<SequenceSpec> = { promptTokens: [1, 2, 1, 2, 1, 2], maxTokens: 41 };

describe("a text that repeats itself", () => {
  test("takes fewer steps, each told token by token", async () => {
    const { runner, engine } = await openToy({ draftTokensMax: 4 });
    const events = await eventsOf(engine.generate(sequenceSpec(LOOP), never));
    expect(events.map(({ kind }) => kind)).toEqual(Array(41).fill("token"));
    await turn();
    expect(runner.steps.length).toBeLessThan(20);
    const { steps, completionTokens, speculation } = engine.load();
    expect(completionTokens).toBe(41);
    expect(steps + speculation.acceptedTokens).toBe(41);
    expect(speculation.draftedTokens).toBeGreaterThanOrEqual(speculation.acceptedTokens);
  });

  test("tries nothing beyond its last token", async () => {
    for (const maxTokens of [1, 2, 3, 4, 5]) {
      const { engine, runner } = await openToy({ draftTokensMax: 4 });
      await eventsOf(engine.generate(sequenceSpec({ ...LOOP, maxTokens }), never)); // The toy checks that a row stays within what it reserved.
      expect(Math.max(...runner.steps.flat().map(({ draftTokens = 0 }) => draftTokens))).toBeLessThan(maxTokens);
    }
  });

  test("leaves its computed tokens for others, and none that was wrong", async () => {
    const { engine } = await openToy({ draftTokensMax: 4 });
    const first = await eventsOf(engine.generate(sequenceSpec(LOOP), never));
    await turn();
    const text = [...LOOP.promptTokens!, ...first.flatMap((event) => (event.kind === "token" ? [event.tokenId] : []))];
    const { engine: fresh } = await openToy({ draftTokensMax: 0 });
    const next = { promptTokens: text, maxTokens: 20 };
    const [again, expected] = await Promise.all([engine, fresh].map((each) => eventsOf(each.generate(sequenceSpec(next), never))));
    expect(again![0]).toEqual({ kind: "reused", promptTokens: 44 });
    expect(again!.slice(1)).toEqual(expected);
  });

  test("is given up within one step, and nothing is told after that", async () => {
    const { engine, runner } = await openToy({ draftTokensMax: 4 });
    const abort = new AbortController();
    const seen: SequenceEvent[] = [];
    const reading = (async () => {
      for await (const event of engine.generate(sequenceSpec(LOOP), abort.signal)) seen.push(event);
    })();
    runner.afterRun = () => {
      if (runner.steps.length === 6) abort.abort("gone"); // While the step's promise is pending.
    };
    await expect(reading).rejects.toBe("gone");
    for (let count = 0; count < 5; count++) await turn();
    expect(runner.steps.length).toBe(6);
    expect(runner.openRows).toBe(0);
    expect(seen.length).toBeLessThanOrEqual(engine.load().completionTokens);
  });
});

test("a full batch tries nothing", async () => {
  const { engine, runner } = await openToy({ draftTokensMax: 4, decodeTokensMax: 7 });
  await Promise.all(Array.from({ length: 4 }, () => eventsOf(engine.generate(sequenceSpec(LOOP), never))));
  await turn();
  const full = runner.steps.filter(
    (rows) => rows.length === 4 && rows.every(({ tokens, draftTokens = 0 }) => tokens.length - draftTokens === 1),
  );
  expect(full.length).toBeGreaterThan(20);
  expect(full.flat().some(({ draftTokens }) => draftTokens !== undefined)).toBe(false);
});

test("what is learnt of a tenant's texts on a delta is for its next ones there, and for nobody else's", async () => {
  const { engine, runner, slots } = await openToy({ draftTokensMax: 4 });
  runner.repeating = { memoryTokens: 100, vocabularySize: 30 }; // Tokens come again, what follows them does not.
  const drafted = async (spec: Partial<SequenceSpec>) => {
    const before = engine.load().speculation.draftedTokens;
    await eventsOf(engine.generate(sequenceSpec({ promptTokens: [1, 2, 3, 4], maxTokens: 100, ...spec }), never));
    return engine.load().speculation.draftedTokens - before;
  };
  const [acme, rival] = [asTenantId("acme"), asTenantId("rival")];
  for (const slot of [undefined, slots[1]]) {
    const first = await drafted({ tenantId: acme, slot });
    expect(await drafted({ tenantId: acme, slot })).not.toBe(first);
    expect(await drafted({ tenantId: rival, slot })).toBe(first);
  }
});

test("where a runner can take nothing back, nothing is tried", async () => {
  const { engine, runner } = await openToy({ draftTokensMax: 4 });
  Object.assign(runner, { acceptDraft: undefined });
  await eventsOf(engine.generate(sequenceSpec(LOOP), never));
  await turn();
  expect(engine.load()).toMatchObject({ steps: 41, speculation: { draftedTokens: 0 } });
});
