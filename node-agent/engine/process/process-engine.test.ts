import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock, VirtualClock } from "#kernel";
import type { Engine, SequenceEvent } from "../contract.ts";
import { GREEDY, sequenceSpec, tokensOf } from "../testing/sequence-spec.ts";
import { TOY_BASE, TOY_LIMITS, toyDelta, toyText } from "../testing/toy-runner.ts";
import { type EngineProcessOptions, startEngineProcess } from "./process-engine.ts";

const entry = new URL("../testing/toy-engine-process.ts", import.meta.url);
const never = new AbortController().signal;
const started: Engine[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((engine) => engine[Symbol.asyncDispose]()));
});

async function toyProcess(different: Partial<EngineProcessOptions> = {}): Promise<Engine> {
  const options = { directory: "/toy", name: "toy", threads: 1, limits: TOY_LIMITS, engine: {}, ...different };
  const engine = await startEngineProcess({ clock: systemClock, entry }, options);
  started.push(engine);
  return engine;
}

/** Asks again and again, because the other process answers in its own time. */
async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await wait(5);
}

describe("an engine in its own process", () => {
  test("serves as one in this process would: deltas, seeds, bigints, maps and sets cross over", async () => {
    const engine = await toyProcess();
    expect(engine.base).toEqual(TOY_BASE);
    const slot = await engine.attach(toyDelta(3, 64));
    const sampling = { ...GREEDY, temperature: 1, seed: 2n ** 63n + 5n, logitBias: new Map([[4, -1]]), topLogprobs: 1 };
    const stop = toyText([5, 6, 7], 10)[6]!;
    const [base, delta, stopped, seeded, again] = await Promise.all([
      tokensOf(engine.generate(sequenceSpec(), never)),
      tokensOf(engine.generate(sequenceSpec({ slot }), never)),
      tokensOf(engine.generate(sequenceSpec({ stopTokenIds: new Set([stop]) }), never)),
      tokensOf(engine.generate(sequenceSpec({ sampling }), never)),
      tokensOf(engine.generate(sequenceSpec({ sampling }), never)),
    ]);
    expect(base).toEqual(toyText([5, 6, 7], 10));
    expect(delta).toEqual(toyText([5, 6, 7], 10, 3));
    expect(stopped).toEqual(toyText([5, 6, 7], 7));
    expect(seeded).toEqual(again);
    await engine.detach(slot);
    expect(engine.load()).toMatchObject({ rowsRunning: 0, slotsUsed: 0, completionTokens: 47, kvTokensUsed: 0 });
  });

  test("passes faults on as they were", async () => {
    const engine = await toyProcess({ limits: { ...TOY_LIMITS, slotsMax: 1 } });
    await engine.attach(toyDelta(1));
    await expect(engine.attach(toyDelta(2))).rejects.toMatchObject({ reason: "capacity_exhausted" });
    const malformed = tokensOf(engine.generate(sequenceSpec({ promptTokens: [] }), never));
    await expect(malformed).rejects.toMatchObject({ reason: "prompt_malformed", detail: { field: "prompt" }, code: "invalid_argument" });
  });

  test("frees the row when the signal aborts, and the slot can be detached at once", async () => {
    const engine = await toyProcess();
    const slot = await engine.attach(toyDelta(3));
    const abort = new AbortController();
    const reading = (async () => {
      for await (const _ of engine.generate(sequenceSpec({ slot, maxTokens: 120 }), abort.signal)) abort.abort("gone");
    })();
    await expect(reading).rejects.toBe("gone");
    await engine.detach(slot);
    await eventually(() => engine.load().rowsRunning === 0 && engine.load().kvTokensUsed === 0);
    expect(engine.load().completionTokens).toBeLessThan(120);
  });

  test("a consumer that does not read pauses its row in the child; nothing is lost when it goes on", async () => {
    const engine = await toyProcess({ engine: { undeliveredEventsMax: 8 } });
    const lazy = engine.generate(sequenceSpec({ maxTokens: 120 }), never)[Symbol.asyncIterator]();
    const events: SequenceEvent[] = [(await lazy.next()).value];
    await eventually(() => engine.load().completionTokens >= 64 + 8); // A window on its way, and what the engine holds.
    expect(await tokensOf(engine.generate(sequenceSpec({ maxTokens: 100 }), never))).toHaveLength(100);
    expect(engine.load().completionTokens).toBeLessThan(64 + 8 + 100 + 3);
    for (let next = await lazy.next(); !next.done; next = await lazy.next()) events.push(next.value);
    expect(events.map((event) => event.kind === "token" && event.tokenId)).toEqual(toyText([5, 6, 7], 120));
  });
});

describe("the end of the child", () => {
  test("by kill -9 in the middle of a step: every iteration ends with engine_lost, and the owner hears of it", async () => {
    const engine = await toyProcess();
    const texts = [
      [66, 66, 66],
      [5, 6, 7],
    ].map((promptTokens) => tokensOf(engine.generate(sequenceSpec({ promptTokens, maxTokens: 50 }), never)));
    for (const text of await Promise.allSettled(texts)) {
      expect(text).toMatchObject({ status: "rejected", reason: { reason: "engine_lost", retry: { kind: "other_node" } } });
    }
    expect(await engine.lost).toMatchObject({ kind: "ended", message: expect.stringContaining("SIGKILL") });
    await expect(engine.attach(toyDelta(1))).rejects.toMatchObject({ reason: "engine_lost" });
    await expect(tokensOf(engine.generate(sequenceSpec(), never))).rejects.toMatchObject({ reason: "engine_lost" });
  });

  test("by a runner that fails: the child says why before it goes", async () => {
    const engine = await toyProcess({ directory: "/breaks" });
    await expect(tokensOf(engine.generate(sequenceSpec(), never))).rejects.toMatchObject({ reason: "engine_lost" });
    expect(await engine.lost).toMatchObject({ kind: "failed", message: "the runtime has had enough" });
  });

  test("by a device that was lost in the middle of a text: what came stays, and the next process starts anew", async () => {
    const engine = await toyProcess({ directory: "/loses-device" });
    const heard: SequenceEvent[] = [];
    const reading = (async () => {
      for await (const event of engine.generate(sequenceSpec({ maxTokens: 50 }), never)) heard.push(event);
    })();
    await expect(reading).rejects.toMatchObject({ reason: "engine_lost", retry: { kind: "other_node" } });
    expect(heard.map((event) => event.kind === "token" && event.tokenId)).toEqual(toyText([5, 6, 7], heard.length));
    expect(await engine.lost).toMatchObject({ kind: "failed", message: expect.stringContaining("Device was lost") });
    expect(await tokensOf((await toyProcess()).generate(sequenceSpec(), never))).toEqual(toyText([5, 6, 7], 10));
  });

  test("because it hangs in a step: it is asked twice, killed, and lost", async () => {
    const engine = await toyProcess({ directory: "/hangs", silenceMsMax: 150 });
    await expect(tokensOf(engine.generate(sequenceSpec(), never))).rejects.toMatchObject({ reason: "engine_lost" });
    expect(await engine.lost).toMatchObject({ kind: "silent" });
  });

  test("never comes from silence alone: who has nothing to do answers each time it is asked", async () => {
    const clock = new VirtualClock();
    const options = { directory: "/toy", name: "toy", threads: 1, limits: TOY_LIMITS, engine: {}, silenceMsMax: 1000 };
    const engine = await startEngineProcess({ clock, entry }, options);
    started.push(engine);
    let before = engine.load();
    for (let asked = 1; asked <= 3; asked++) {
      await eventually(() => engine.load() !== before);
      before = engine.load();
      await clock.advance(1000);
    }
    expect(await tokensOf(engine.generate(sequenceSpec(), never))).toEqual(toyText([5, 6, 7], 10));
  });

  test("by dispose: what runs ends with shutting_down, and nobody calls the engine lost", async () => {
    const engine = await toyProcess();
    let lost = false;
    void engine.lost.then(() => {
      lost = true;
    });
    const text = tokensOf(engine.generate(sequenceSpec({ maxTokens: 120 }), never));
    const ended = expect(text).rejects.toMatchObject({ reason: "shutting_down" });
    await eventually(() => engine.load().rowsRunning === 1);
    await Promise.all([engine[Symbol.asyncDispose](), engine[Symbol.asyncDispose]()]);
    await ended;
    expect(lost).toBe(false);
  });

  test("with its parent, even when that is killed", async () => {
    const parent = fork(new URL("../testing/parent-process.ts", import.meta.url), [], { execArgv: [], silent: true });
    const [line] = (await once(parent.stdout!, "data")) as [Buffer];
    const engineId = Number(/engine (\d+)/.exec(line.toString())![1]);
    expect(isRunning(engineId)).toBe(true);
    parent.kill("SIGKILL");
    await eventually(() => !isRunning(engineId));
  });
});

describe("a child that does not become ready", () => {
  test("because the base can't be opened: its fault is thrown", async () => {
    await expect(toyProcess({ directory: "/missing" })).rejects.toMatchObject({ reason: "file_missing", detail: { file: "config.json" } });
  });

  test("because its program fails at once: engine_lost", async () => {
    const options = { directory: "/toy", name: "toy", threads: 1, limits: TOY_LIMITS, engine: {} };
    const broken = startEngineProcess({ clock: systemClock, entry: new URL("./no-such-program.ts", import.meta.url) }, options);
    await expect(broken).rejects.toMatchObject({ reason: "engine_lost" });
  });

  test("in time: it is killed", async () => {
    const clock = new VirtualClock();
    const options = { directory: "/toy", name: "toy", threads: 1, limits: TOY_LIMITS, engine: {}, startMsMax: 10 };
    const late = expect(startEngineProcess({ clock, entry }, options)).rejects.toMatchObject({ reason: "engine_lost" });
    await clock.advance(10); // A process takes longer than two turns of this loop to start.
    await late;
  });
});

function isRunning(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch {
    return false; // ESRCH: there is no such process.
  }
}
