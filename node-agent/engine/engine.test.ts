import { describe, expect, test } from "vitest";
import { asTenantId, Fault, isFault, VirtualClock } from "#kernel";
import type { Engine, SequenceEvent, SequenceSpec } from "./contract.ts";
import { openEngine } from "./engine.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { RunnerLimits } from "./runner/contract.ts";
import { eventsOf, GREEDY, sequenceSpec, tokensOf } from "./testing/sequence-spec.ts";
import { TOY_BASE, TOY_VOCABULARY, ToyRunner, toyDelta, toyLogits, toyText } from "./testing/toy-runner.ts";

const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const turns = async (count: number) => {
  for (let index = 0; index < count; index++) await turn();
};

function toyEngine(options: Partial<EngineOptions> = {}, limits: Partial<RunnerLimits> = {}, base = TOY_BASE) {
  const runner = new ToyRunner(limits, base);
  const clock = new VirtualClock();
  return { runner, clock, engine: openEngine(runner, { clock, yieldTurn: turn }, options) };
}

describe("texts", () => {
  test("of different deltas and of the base, side by side, are those they would be alone", async () => {
    const { engine, runner } = toyEngine();
    const slots = [undefined, await engine.attach(toyDelta(3)), await engine.attach(toyDelta(40))];
    const shifts = [0, 3, 40];
    const texts = await Promise.all(slots.map((slot) => tokensOf(engine.generate(sequenceSpec({ slot }), never))));
    expect(texts).toEqual(shifts.map((shift) => toyText([5, 6, 7], 10, shift)));
    expect(runner.steps[0]).toHaveLength(3); // They started together.
    await engine[Symbol.asyncDispose]();
  });

  test("are the same whether the prompt goes in whole or in chunks", async () => {
    const promptTokens = Array.from({ length: 50 }, (_, index) => index);
    for (const prefillTokensMax of [1, 7, 49, 50, 500]) {
      const { engine, runner } = toyEngine({ prefillTokensMax });
      expect(await tokensOf(engine.generate(sequenceSpec({ promptTokens }), never))).toEqual(toyText(promptTokens, 10));
      expect(runner.steps.length).toBe(Math.ceil(50 / Math.min(50, prefillTokensMax)) + 9);
    }
  });

  test("with a seed do not depend on neighbours", async () => {
    const sampling = { ...GREEDY, temperature: 1.5, seed: 99n };
    const alone = await tokensOf(toyEngine().engine.generate(sequenceSpec({ sampling }), never));
    const { engine } = toyEngine({ prefillTokensMax: 5 });
    const others = [1n, 2n, 3n].map((seed) =>
      tokensOf(engine.generate(sequenceSpec({ promptTokens: [1, 2, 3, 4, Number(seed)], sampling: { ...sampling, seed } }), never)),
    );
    expect(await tokensOf(engine.generate(sequenceSpec({ sampling }), never))).toEqual(alone);
    expect(await Promise.all(others)).not.toContainEqual(alone);
  });

  test.each([
    ["greedy", GREEDY],
    ["seeded, with penalties", { ...GREEDY, temperature: 2, seed: 5n, frequencyPenalty: 1.5, repetitionPenalty: 1.2 }],
  ])("go on from emitted tokens as if nothing had happened (%s)", async (_, sampling) => {
    const { engine } = toyEngine();
    const whole = await tokensOf(engine.generate(sequenceSpec({ sampling }), never));
    for (const count of [1, 4, 9]) {
      const resumed = engine.generate(sequenceSpec({ sampling, emittedTokens: whole.slice(0, count) }), never);
      expect(await tokensOf(resumed)).toEqual(whole.slice(count));
    }
  });
});

describe("the end of a text", () => {
  const finishOf = async (spec: Partial<SequenceSpec>) => {
    const last = (await eventsOf(toyEngine().engine.generate(sequenceSpec(spec), never))).at(-1);
    return last?.kind === "token" ? last : undefined;
  };

  test("is a stop token, which is emitted, or the length", async () => {
    const text = toyText([5, 6, 7], 10);
    expect(await finishOf({ stopTokenIds: new Set([text[4]!]) })).toMatchObject({ tokenId: text[4], finish: "stop" });
    expect(await finishOf({})).toMatchObject({ tokenId: text[9], finish: "length" });
  });

  test("is the end of the context at the latest", async () => {
    const tokens = await tokensOf(toyEngine().engine.generate(sequenceSpec({ promptTokens: Array(120).fill(1), maxTokens: 1000 }), never));
    expect(tokens).toHaveLength(8);
  });
});

describe("log-probabilities", () => {
  test("of the prompt come first and are those of each context, in chunks as well", async () => {
    const promptTokens = Array.from({ length: 20 }, (_, index) => (index * 7) % TOY_VOCABULARY);
    const { engine } = toyEngine({ scoredChunkTokensMax: 6 });
    const sampling = { ...GREEDY, topLogprobs: 2 };
    const [prompt, first] = await eventsOf(engine.generate(sequenceSpec({ promptTokens, promptLogprobs: true, sampling }), never));
    const expected = promptTokens.map((tokenId, index) => {
      if (index === 0) return undefined;
      const logits = toyLogits(promptTokens.slice(0, index));
      return logits[tokenId]! - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    });
    const scored = prompt?.kind === "prompt" ? prompt.logprobs : [];
    expect(scored.map((entry) => entry?.tokenId)).toEqual([undefined, ...promptTokens.slice(1)]);
    for (const [index, logprob] of expected.entries()) {
      if (logprob === undefined) expect(scored[index]).toBeUndefined();
      else expect(scored[index]?.logprob).toBeCloseTo(logprob, 4);
    }
    expect(first).toMatchObject({ kind: "token", logprob: { top: { length: 2 } } });
  });

  test("alone, without a token, when maxTokens is 0; and not again for a resumed text", async () => {
    const { engine } = toyEngine();
    const kinds = async (spec: Partial<SequenceSpec>) =>
      (await eventsOf(engine.generate(sequenceSpec({ promptLogprobs: true, ...spec }), never))).map(({ kind }) => kind);
    expect(await kinds({ maxTokens: 0 })).toEqual(["prompt"]);
    expect(await kinds({ maxTokens: 2 })).toEqual(["prompt", "token", "token"]);
    expect(await kinds({ maxTokens: 2, emittedTokens: [9] })).toEqual(["token"]);
    expect(engine.load().completionTokens).toBe(3);
  });
});

describe("cancellation", () => {
  test("frees the row within one step and ends with the signal's reason", async () => {
    const { engine, runner } = toyEngine();
    const abort = new AbortController();
    const reason = new Fault("deadline_passed", "too late");
    const seen: SequenceEvent[] = [];
    const reading = (async () => {
      for await (const event of engine.generate(sequenceSpec({ maxTokens: 100 }), abort.signal)) seen.push(event);
    })();
    runner.afterRun = () => {
      if (runner.steps.length === 3) abort.abort(reason); // While the step's promise is pending.
    };
    await expect(reading).rejects.toBe(reason);
    await turns(3);
    expect(runner.steps).toHaveLength(3);
    expect(seen.length).toBeLessThanOrEqual(3);
    expect(runner.openRows).toBe(0);
    expect(engine.load()).toMatchObject({ rowsRunning: 0, kvTokensUsed: 0 });
  });

  test("reaches a sequence that waits, and one that nobody reads to the end", async () => {
    const { engine, runner } = toyEngine({}, { rowsMax: 1 });
    const stream = engine.generate(sequenceSpec({ maxTokens: 100 }), never)[Symbol.asyncIterator]();
    await stream.next();
    const abort = new AbortController();
    const waiting = tokensOf(engine.generate(sequenceSpec(), abort.signal));
    await turn();
    expect(engine.load().queueDepth).toBe(1);
    abort.abort("gone");
    await expect(waiting).rejects.toBe("gone");
    await stream.return?.();
    await turns(3);
    expect(runner.openRows).toBe(0);
  });

  test("before the start is refused at once", async () => {
    await expect(tokensOf(toyEngine().engine.generate(sequenceSpec(), AbortSignal.abort("early")))).rejects.toBe("early");
  });
});

test("a sequence whose events are not read pauses, others run on, and it resumes when read", async () => {
  const { engine, runner } = toyEngine({ undeliveredEventsMax: 4 });
  const lazy = engine.generate(sequenceSpec({ maxTokens: 30 }), never)[Symbol.asyncIterator]();
  const first = await lazy.next();
  expect(await tokensOf(engine.generate(sequenceSpec({ maxTokens: 60 }), never))).toEqual(toyText([5, 6, 7], 60));
  await turns(5);
  const stepsWhilePaused = runner.steps.length;
  await turns(20);
  expect(runner.steps.length).toBe(stepsWhilePaused); // Nothing to do: the engine is at rest, not spinning.
  expect(engine.load()).toMatchObject({ rowsRunning: 1, completionTokens: 60 + 1 + 4 });
  const rest = await tokensOf({ [Symbol.asyncIterator]: () => lazy });
  expect([first.value?.kind === "token" ? first.value.tokenId : undefined, ...rest]).toEqual(toyText([5, 6, 7], 30));
});

describe("room", () => {
  test("a full queue refuses at once", async () => {
    const { engine } = toyEngine({ queueDepthMax: 2 }, { rowsMax: 1 });
    const running = engine.generate(sequenceSpec({ maxTokens: 50 }), never)[Symbol.asyncIterator]();
    await running.next();
    const waiting = [tokensOf(engine.generate(sequenceSpec(), never)), tokensOf(engine.generate(sequenceSpec(), never))];
    await expect(tokensOf(engine.generate(sequenceSpec(), never))).rejects.toSatisfy((error) => isFault(error, "queue_full"));
    await tokensOf({ [Symbol.asyncIterator]: () => running });
    expect(await Promise.all(waiting)).toEqual([toyText([5, 6, 7], 10), toyText([5, 6, 7], 10)]);
  });

  test("positions are reserved at admission: what does not fit yet waits", async () => {
    const { engine } = toyEngine({}, { kvTokensMax: 30 });
    const texts = [1, 2, 3, 4].map(() => tokensOf(engine.generate(sequenceSpec(), never)));
    await turns(2);
    expect(engine.load()).toMatchObject({ rowsRunning: 2, queueDepth: 2, kvTokensUsed: 26 });
    expect(await Promise.all(texts)).toEqual(Array(4).fill(toyText([5, 6, 7], 10)));
  });

  test("a delta that finds no slot is refused, and after a detach there is one", async () => {
    const { engine } = toyEngine({}, { slotsMax: 1 });
    const slot = await engine.attach(toyDelta(1));
    await expect(engine.attach(toyDelta(2))).rejects.toSatisfy((error) => isFault(error, "capacity_exhausted"));
    const text = tokensOf(engine.generate(sequenceSpec({ slot }), never));
    await expect(engine.detach(slot)).rejects.toThrow(`slot ${slot} is detached while 1 sequences use it`);
    await text;
    await engine.detach(slot);
    expect(await engine.attach(toyDelta(2))).toBe(slot);
    await expect(engine.detach(17)).rejects.toThrow("slot 17 is not attached");
  });
});

test("running rows advance between two of many attaches", async () => {
  const { engine, runner } = toyEngine();
  const text = tokensOf(engine.generate(sequenceSpec({ maxTokens: 50 }), never));
  await turns(3);
  const steps: number[] = [];
  await Promise.all([1, 2, 3].map((shift) => engine.attach(toyDelta(shift)).then(() => steps.push(runner.steps.length))));
  expect(new Set(steps).size).toBe(3);
  expect(await text).toEqual(toyText([5, 6, 7], 50));
});

test.each([
  ["an empty prompt", { promptTokens: [] }, "prompt_malformed", "prompt"],
  ["a token outside the vocabulary", { promptTokens: [1, TOY_VOCABULARY] }, "prompt_malformed", "prompt"],
  ["a prompt as long as the context", { promptTokens: Array(128).fill(1) }, "context_too_long", "prompt"],
  [
    "bias on a token outside the vocabulary",
    { sampling: { ...GREEDY, logitBias: new Map([[500, 1]]) } },
    "parameter_invalid",
    "logit_bias",
  ],
  ["nothing left to emit", { emittedTokens: [1, 2], maxTokens: 2 }, "parameter_invalid", "max_tokens"],
  ["more positions than there are", { promptTokens: Array(60).fill(1), maxTokens: 60 }, "capacity_exhausted", "max_tokens"],
] as const)("%s is refused and named", async (_, spec, reason, field) => {
  const { engine } = toyEngine({}, { kvTokensMax: 100 });
  await expect(tokensOf(engine.generate(sequenceSpec(spec), never))).rejects.toMatchObject({ reason, detail: { field } });
  expect(engine.load().queueDepth).toBe(0);
});

describe("when something breaks", () => {
  test("logits that are not finite end their own text only", async () => {
    const { engine } = toyEngine();
    const slot = await engine.attach(toyDelta(Number.NaN));
    const [broken, sound] = await Promise.allSettled([
      tokensOf(engine.generate(sequenceSpec({ slot }), never)),
      tokensOf(engine.generate(sequenceSpec(), never)),
    ]);
    expect(broken).toMatchObject({ status: "rejected", reason: { reason: "bug" } });
    expect(sound).toMatchObject({ status: "fulfilled", value: toyText([5, 6, 7], 10) });
  });

  test("a runner that fails loses the engine: every iteration ends with engine_lost, and so does everything after", async () => {
    const { engine, runner } = toyEngine();
    runner.beforeRun = () => {
      if (runner.steps.length === 3) throw new Error("out of memory");
    };
    const texts = await Promise.allSettled([1, 2].map(() => tokensOf(engine.generate(sequenceSpec(), never))));
    for (const text of texts) expect(text).toMatchObject({ status: "rejected", reason: { reason: "engine_lost" } });
    expect((await engine.lost).message).toBe("out of memory");
    await expect(tokensOf(engine.generate(sequenceSpec(), never))).rejects.toMatchObject({ reason: "engine_lost" });
    await expect(engine.attach(toyDelta(1))).rejects.toMatchObject({ reason: "engine_lost" });
    expect(runner.disposed, "what holds a lost device may never let go: that is for its owner to try").toBe(false);
    await engine[Symbol.asyncDispose]();
    expect(runner.disposed).toBe(true);
  });

  test("dispose ends what runs, closes the runner, and may be repeated", async () => {
    const { engine, runner } = toyEngine();
    const text = tokensOf(engine.generate(sequenceSpec({ maxTokens: 100 }), never));
    const refused = expect(text).rejects.toMatchObject({ reason: "shutting_down" });
    await turns(3);
    await Promise.all([engine[Symbol.asyncDispose](), engine[Symbol.asyncDispose]()]);
    await refused;
    expect(runner.disposed).toBe(true);
  });
});

test("time inside the runtime and around it is told apart", async () => {
  const { engine, runner, clock } = toyEngine();
  runner.afterRun = () => void clock.advance(9); // Seven of them the runner says it spent inside.
  await tokensOf(engine.generate(sequenceSpec(), never));
  await turns(3);
  const load = engine.load();
  expect(load).toMatchObject({ steps: 10, insideRunMs: 70, promptTokens: 3, completionTokens: 10 });
  expect(load.insideRunMs + load.outsideRunMs).toBe(clock.monotonic());
});

describe("tenants share the engine by what they were given", () => {
  /** Runs them all in the order of arrival; gives the tenants in the order in which their texts ended. */
  const orderOf = async (engine: Engine, asks: readonly (readonly [tenant: string, spec: Partial<SequenceSpec>])[]) => {
    const order: string[] = [];
    const texts = asks.map(([tenant, spec]) =>
      tokensOf(engine.generate(sequenceSpec({ ...spec, tenantId: asTenantId(tenant) }), never)).then(() => order.push(tenant)),
    );
    await Promise.all(texts);
    return order;
  };

  test("a hot one does not hold up another", async () => {
    const { engine } = toyEngine({}, { rowsMax: 2 });
    const order = await orderOf(engine, [...Array(5).fill(["hot", {}]), ["cold", {}]]);
    expect(order.indexOf("cold")).toBeLessThan(4);
  });

  test("many short texts weigh as much as few long ones, not as many", async () => {
    const { engine } = toyEngine({}, { rowsMax: 1 });
    const long = Array(2).fill(["long", { maxTokens: 40 }]);
    const short = Array(8).fill(["short", { maxTokens: 4 }]);
    // One long text costs 3 + 2 * 40, a short one 3 + 2 * 4: all eight short ones come to 88.
    expect(await orderOf(engine, [...long, ...short])).toEqual(["long", ...Array(8).fill("short"), "long"]);
  });

  test("an earlier attempt's tokens are charged as input, for they are computed again", async () => {
    const { engine } = toyEngine({}, { rowsMax: 1 });
    const text = toyText([5, 6, 7], 30);
    const resumed = ["resumed", { emittedTokens: text.slice(0, 29), maxTokens: 30 }] as const;
    // The resumed text costs 3 + 29 + 2, so the other's second one, 3 + 2 * 10 a text, goes before the second resumed one.
    expect(await orderOf(engine, [resumed, resumed, ["other", {}], ["other", {}]])).toEqual(["resumed", "other", "other", "resumed"]);
  });

  test("what is given up while it waits is never started, and costs its tenant nothing", async () => {
    const { engine, runner } = toyEngine({}, { rowsMax: 1 });
    const deadline = new AbortController();
    const first = tokensOf(engine.generate(sequenceSpec(), never));
    const late = tokensOf(engine.generate(sequenceSpec({ promptTokens: [1, 2, 3, 4, 5], tenantId: asTenantId("late") }), deadline.signal));
    const refused = expect(late).rejects.toMatchObject({ reason: "deadline_passed" });
    await turns(3);
    deadline.abort(new Fault("deadline_passed", "too late"));
    await refused;
    expect(
      await orderOf(engine, [
        ["other", {}],
        ["late", {}],
      ]),
    ).toEqual(["other", "late"]);
    await first;
    expect(runner.steps.flat().some(({ tokens }) => tokens.length === 5)).toBe(false);
  });
});

describe("a parked sequence", () => {
  const light = asTenantId("light");

  test.each([
    ["greedy", GREEDY],
    ["seeded, with penalties", { ...GREEDY, temperature: 2, seed: 5n, frequencyPenalty: 1.5, repetitionPenalty: 1.2 }],
  ])("makes room for another tenant, and its text goes on as if nothing had happened (%s)", async (_, sampling) => {
    const alone = await tokensOf(toyEngine().engine.generate(sequenceSpec({ sampling, maxTokens: 40 }), never));
    const { engine } = toyEngine({}, { rowsMax: 2 });
    const hot = [0, 1, 2, 3].map(() => tokensOf(engine.generate(sequenceSpec({ sampling, maxTokens: 40 }), never)));
    await turns(8);
    const stepsBefore = engine.load().steps;
    const text = await tokensOf(engine.generate(sequenceSpec({ tenantId: light }), never));
    expect(text).toEqual(toyText([5, 6, 7], 10));
    expect(engine.load().steps - stepsBefore, "it did not wait for a text to end").toBeLessThan(15);
    expect(engine.load().parkings).toBe(1);
    for (const whole of await Promise.all(hot)) expect(whole).toEqual(alone);
    await turns(2); // The last row is closed between two steps.
    expect(engine.load()).toMatchObject({ rowsRunning: 0, queueDepth: 0, kvTokensUsed: 0, promptTokens: 5 * 3 });
    await engine[Symbol.asyncDispose]();
  });

  test("that nobody reads leaves its row to those who are read, and goes on when it is read again", async () => {
    const { engine } = toyEngine({ undeliveredEventsMax: 4 }, { rowsMax: 1 });
    const unread = engine.generate(sequenceSpec({ maxTokens: 30 }), never)[Symbol.asyncIterator]();
    const first = await unread.next();
    await turns(20); // Its queue is full by now.
    for (let other = 0; other < 3; other++) expect(await tokensOf(engine.generate(sequenceSpec(), never))).toEqual(toyText([5, 6, 7], 10));
    const rest = await tokensOf({ [Symbol.asyncIterator]: () => unread });
    expect([(first.value as { tokenId: number }).tokenId, ...rest]).toEqual(toyText([5, 6, 7], 30));
    await engine[Symbol.asyncDispose]();
  });

  test("that is given up holds nothing", async () => {
    const { engine } = toyEngine({ undeliveredEventsMax: 4 }, { rowsMax: 1 });
    const gone = new AbortController();
    const unread = engine.generate(sequenceSpec({ maxTokens: 30 }), gone.signal)[Symbol.asyncIterator]();
    await unread.next();
    await turns(20);
    await tokensOf(engine.generate(sequenceSpec({ tenantId: light }), never));
    gone.abort(new Fault("client_gone", "gone"));
    await expect(unread.next()).rejects.toMatchObject({ reason: "client_gone" });
    await turns(2);
    expect(engine.load()).toMatchObject({ rowsRunning: 0, queueDepth: 0, kvTokensUsed: 0 });
    await engine[Symbol.asyncDispose]();
  });

  test("gives the log-probabilities of its prompt once", async () => {
    const promptTokens = Array.from({ length: 40 }, (_, index) => index);
    const { engine } = toyEngine({ prefillTokensMax: 4, scoredChunkTokensMax: 4 }, { rowsMax: 2 });
    const spec = { promptTokens, promptLogprobs: true, maxTokens: 20, sampling: { ...GREEDY, topLogprobs: 0 } };
    const scored = [0, 1].map(() => eventsOf(engine.generate(sequenceSpec(spec), never)));
    await turns(4);
    await tokensOf(engine.generate(sequenceSpec({ tenantId: light }), never));
    expect(engine.load().parkings).toBeGreaterThan(0);
    for (const events of await Promise.all(scored)) {
      expect(events.filter(({ kind }) => kind === "prompt")).toHaveLength(1);
      expect(events.filter(({ kind }) => kind === "token")).toHaveLength(20);
    }
    await engine[Symbol.asyncDispose]();
  });
});
