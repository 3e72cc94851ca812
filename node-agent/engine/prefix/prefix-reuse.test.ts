import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asTenantId, VirtualClock } from "#kernel";
import type { SequenceEvent, SequenceSpec } from "../contract.ts";
import { openEngine } from "../engine.ts";
import type { EngineOptions } from "../engine-options.ts";
import type { RunnerLimits, StepRow } from "../runner/contract.ts";
import { eventsOf, sequenceSpec, tokensOf } from "../testing/sequence-spec.ts";
import { TOY_BASE, TOY_VOCABULARY, ToyRunner, toyDelta, toyText } from "../testing/toy-runner.ts";

const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const UNIT = 4;
/** What the toy needs for a step: with it, the virtual clock tells how long a text took. */
const STEP_MS = 10;
const [ACME, RIVAL] = [asTenantId("acme"), asTenantId("rival")];
const PROMPT = Array.from({ length: 30 }, (_, index) => (index * 7) % TOY_VOCABULARY);
/** Of PROMPT, what a second text with it needs not compute: whole units, and never its last token. */
const PROMPT_UNITS = 28;

function toyEngine(options: Partial<EngineOptions> = {}, limits: Partial<RunnerLimits> = {}) {
  const runner = new ToyRunner(limits, TOY_BASE, UNIT);
  const clock = new VirtualClock();
  const step = runner.run.bind(runner);
  runner.run = async (rows) => {
    await clock.advance(STEP_MS);
    return step(rows);
  };
  const engine = openEngine(runner, { clock, yieldTurn: turn }, { prefillTokensMax: 8, chunkTokensMin: 1, ...options });
  /** Runs one text to its end: what it told, what it cost. */
  const run = async (different: Partial<SequenceSpec> = {}) => {
    const [stepsBefore, startedAt] = [runner.steps.length, clock.monotonic()];
    const events = await eventsOf(engine.generate(sequenceSpec({ promptTokens: PROMPT, ...different }), never));
    await turn(); // Its row is closed in the next one.
    return {
      text: textOf(events),
      reused: events.find((event) => event.kind === "reused")?.promptTokens ?? 0,
      computedTokens: computed(runner.steps.slice(stepsBefore)),
      tookMs: clock.monotonic() - startedAt,
    };
  };
  return { runner, engine, run };
}

function textOf(events: readonly SequenceEvent[]): number[] {
  return events.flatMap((event) => (event.kind === "token" ? [event.tokenId] : []));
}

function computed(steps: readonly (readonly StepRow[])[]): number {
  return steps.flat().reduce((sum, { tokens }) => sum + tokens.length, 0);
}

describe("a text that begins like an earlier one of its tenant", () => {
  test("computes what is different, is the same text, and says how much it was spared", async () => {
    const { run, engine } = toyEngine();
    const first = await run();
    expect(first).toMatchObject({ text: toyText(PROMPT, 10), reused: 0, computedTokens: 39 });
    const second = await run();
    expect(second).toEqual({ text: first.text, reused: PROMPT_UNITS, computedTokens: 39 - PROMPT_UNITS, tookMs: 10 * STEP_MS });
    expect(first.tookMs).toBe(13 * STEP_MS); // Three more chunks of eight.
    expect(engine.load().prefixes).toMatchObject({ queriedTokens: 60, hitTokens: PROMPT_UNITS, keptTokens: 36, evictions: 0 });
    const other = [...PROMPT.slice(0, 18), ...PROMPT.slice(0, 12)];
    expect(await run({ promptTokens: other })).toMatchObject({ text: toyText(other, 10), reused: 16 });
  });

  test("need not wait for that one's end", async () => {
    const { run, engine, runner } = toyEngine({}, { rowsMax: 2 });
    const first = engine.generate(sequenceSpec({ promptTokens: PROMPT, maxTokens: 40 }), never)[Symbol.asyncIterator]();
    await first.next();
    expect(await run()).toMatchObject({ text: toyText(PROMPT, 10), reused: PROMPT_UNITS });
    expect(runner.openRows).toBe(1);
    const rest: number[] = [];
    for (let event = await first.next(); !event.done; event = await first.next())
      if (event.value.kind === "token") rest.push(event.value.tokenId);
    expect(rest).toEqual(toyText(PROMPT, 40).slice(1));
  });

  test("has an answer in its beginning, as the next turn of a conversation does", async () => {
    const { run } = toyEngine();
    const { text } = await run();
    const promptTokens = [...PROMPT, ...text, 1, 2, 3];
    expect(await run({ promptTokens })).toMatchObject({ text: toyText(promptTokens, 10), reused: 36 }); // 39 were computed: the last was only told.
  });

  test("goes on from an earlier attempt's tokens", async () => {
    const { run } = toyEngine();
    const { text } = await run();
    expect(await run({ emittedTokens: text.slice(0, 7) })).toMatchObject({ text: text.slice(7), reused: 30, computedTokens: 3 });
  });

  test("computes it all where the prompt's log-probabilities are wanted", async () => {
    const { run } = toyEngine();
    await run();
    expect(await run({ promptLogprobs: true })).toMatchObject({ reused: 0, computedTokens: 39 });
  });

  test("computes it all where nothing is kept", async () => {
    const { run, engine } = toyEngine({ prefixShare: 0 });
    for (let time = 0; time < 2; time++) expect(await run()).toMatchObject({ reused: 0, computedTokens: 39 });
    expect(engine.load().prefixes).toEqual({ queriedTokens: 0, hitTokens: 0, keptTokens: 0, keptBytes: 0, evictions: 0 });
  });
});

describe("what one has computed is nobody else's", () => {
  test("not another tenant's, on the base and on a delta: its texts take as long as if nobody had been there", async () => {
    const { run, engine } = toyEngine();
    const slot = await engine.attach(toyDelta(3));
    for (const where of [undefined, slot]) {
      const first = await run({ tenantId: ACME, slot: where });
      const other = await run({ tenantId: RIVAL, slot: where });
      expect(other).toEqual(first);
      expect((await run({ tenantId: RIVAL, slot: where })).tookMs).toBeLessThan(other.tookMs);
    }
  });

  test("not another delta's of the same tenant, nor the base's", async () => {
    const { run, engine } = toyEngine();
    const slots = [undefined, await engine.attach(toyDelta(3)), await engine.attach(toyDelta(40))];
    const shifts = [0, 3, 40];
    for (const [index, slot] of slots.entries()) {
      expect(await run({ slot })).toEqual({
        text: toyText(PROMPT, 10, shifts[index]),
        reused: 0,
        computedTokens: 39,
        tookMs: 13 * STEP_MS,
      });
    }
  });

  test("not that of a delta that came into the same slot", async () => {
    const { run, engine, runner } = toyEngine();
    const slot = await engine.attach(toyDelta(3));
    await run({ slot });
    await engine.detach(slot);
    expect(runner.prefixes.kept.size).toBe(0);
    expect(await engine.attach(toyDelta(5))).toBe(slot);
    expect(await run({ slot })).toMatchObject({ text: toyText(PROMPT, 10, 5), reused: 0 });
  });

  test("what a tenant's texts cost does not depend on what others ask, whatever they ask", async () => {
    const asked = fc.record({
      tenantId: fc.constantFrom(ACME, RIVAL),
      delta: fc.nat({ max: 2 }),
      promptTokens: fc.array(fc.constantFrom(1, 2), { minLength: 1, maxLength: 24 }),
    });
    const costs = async (requests: readonly { tenantId: SequenceSpec["tenantId"]; delta: number; promptTokens: number[] }[]) => {
      const { run, engine } = toyEngine({ prefixShare: 1 }, { kvTokensMax: 10_000 });
      const slots = [undefined, await engine.attach(toyDelta(3)), await engine.attach(toyDelta(40))];
      const costs: { readonly tenantId: string; readonly tookMs: number; readonly computedTokens: number }[] = [];
      for (const { delta, ...request } of requests) {
        const { text, tookMs, computedTokens } = await run({ ...request, slot: slots[delta], maxTokens: 6 });
        expect(text).toEqual(toyText(request.promptTokens, 6, [0, 3, 40][delta]));
        costs.push({ tenantId: request.tenantId, tookMs, computedTokens });
      }
      await engine[Symbol.asyncDispose]();
      return costs.filter(({ tenantId }) => tenantId === ACME);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 4, maxLength: 16, size: "max" }), async (requests) => {
        expect(await costs(requests)).toEqual(await costs(requests.filter(({ tenantId }) => tenantId === ACME)));
      }),
      { numRuns: 25 },
    );
  });
});

describe("room", () => {
  const prompt = (first: number) => [first, ...PROMPT.slice(1)];

  test("is bounded by the share of the cache; what was used longest ago goes first", async () => {
    const { run, engine, runner } = toyEngine({ prefixShare: 0.08 }); // 80 tokens: two texts of 36.
    await run({ promptTokens: prompt(1) });
    await run({ promptTokens: prompt(2) });
    await run({ promptTokens: prompt(1) });
    await run({ promptTokens: prompt(3) });
    expect(engine.load().prefixes).toMatchObject({ keptTokens: 72, keptBytes: 72 * 16, evictions: 1 });
    expect((await run({ promptTokens: prompt(1) })).reused).toBe(PROMPT_UNITS);
    expect((await run({ promptTokens: prompt(2) })).reused).toBe(0);
    expect(runner.prefixes.kept.size).toBe(2);
  });

  test("is a row's before it is a kept text's: nothing waits or is refused for what is kept", async () => {
    const { run, engine } = toyEngine({ prefixShare: 1 }, { kvTokensMax: 100 });
    await run({ promptTokens: prompt(1) });
    await run({ promptTokens: prompt(2) });
    expect(engine.load()).toMatchObject({ kvTokensUsed: 0, prefixes: { keptTokens: 72 } });
    const large = { promptTokens: prompt(9), maxTokens: 70 };
    expect((await run(large)).text).toEqual(toyText(prompt(9), 70));
    expect(engine.load().prefixes.evictions).toBe(2);
  });

  test("for a text that itself is kept is found by forgetting the others first", async () => {
    const { run } = toyEngine({ prefixShare: 1 }, { kvTokensMax: 120 });
    await run({ promptTokens: prompt(1) });
    await run({ promptTokens: prompt(2) });
    expect(await run({ promptTokens: prompt(1), maxTokens: 50 })).toMatchObject({ reused: PROMPT_UNITS, text: toyText(prompt(1), 50) });
  });

  test("where keeping needs room and finds none, the oldest leaves for the newest, and no other", async () => {
    const { run, runner, engine } = toyEngine({ prefixShare: 1 });
    const keep = runner.prefixes.keep.bind(runner.prefixes);
    runner.prefixes.keep = ((...asked: Parameters<typeof keep>) =>
      runner.prefixes.kept.size < 3 ? keep(...asked) : undefined) as typeof keep;
    const prompt = (text: number) => PROMPT.map((token) => (token + text) % TOY_VOCABULARY);
    for (let text = 0; text < 4; text++) await run({ promptTokens: prompt(text), maxTokens: 1 });
    expect(runner.prefixes.kept.size).toBe(3);
    expect(engine.load().prefixes?.evictions).toBe(1);
    const reused: number[] = [];
    for (const text of [3, 2, 1, 0]) reused.push((await run({ promptTokens: prompt(text), maxTokens: 1 })).reused);
    expect(reused).toEqual([PROMPT_UNITS, PROMPT_UNITS, PROMPT_UNITS, 0]);
  });

  test("a text that had to give up its row finds what it had computed", async () => {
    const { runner, engine } = toyEngine({ undeliveredEventsMax: 4 }, { rowsMax: 1 });
    const unread = engine.generate(sequenceSpec({ promptTokens: PROMPT, maxTokens: 20 }), never)[Symbol.asyncIterator]();
    await unread.next();
    for (let count = 0; count < 20; count++) await turn(); // Until it pauses.
    await tokensOf(engine.generate(sequenceSpec({ promptTokens: [1] }), never));
    expect(engine.load().parkings).toBe(1);
    const before = computed(runner.steps);
    for (let event = await unread.next(); !event.done; ) event = await unread.next();
    expect(computed(runner.steps) - before).toBeLessThan(20);
  });
});

describe("what is kept is sound", () => {
  test("nothing of a text that went wrong, of one that was given up before its first token, or of one that was only scored", async () => {
    const { runner, engine, run } = toyEngine();
    const broken = engine.generate(sequenceSpec({ promptTokens: PROMPT, sampling: { ...sequenceSpec().sampling, temperature: 1 } }), never);
    const original = runner.run.bind(runner);
    runner.run = async (rows) => (await original(rows)).map((logits) => (logits as Float32Array).map(() => Number.NaN));
    await expect(tokensOf(broken)).rejects.toMatchObject({ reason: "bug" });
    runner.run = original;
    const abort = new AbortController();
    runner.beforeRun = () => abort.abort();
    await expect(tokensOf(engine.generate(sequenceSpec({ promptTokens: PROMPT }), abort.signal))).rejects.toThrow();
    await run({ promptLogprobs: true, maxTokens: 0 });
    expect(runner.prefixes.kept.size).toBe(0);
    await engine[Symbol.asyncDispose]();
  });

  test("what a text given up later has computed is kept", async () => {
    const { runner, engine, run } = toyEngine();
    for await (const event of engine.generate(sequenceSpec({ promptTokens: PROMPT, maxTokens: 60 }), never))
      if (event.kind === "token") break;
    expect((await run()).reused).toBe(PROMPT_UNITS);
    expect(runner.prefixes.kept.size).toBe(1);
  });
});
