import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import type { Checkpoint, LoadedDelta } from "#model";
import type { Slot } from "../../contract.ts";
import type { Row, Runner } from "../contract.ts";
import { referenceForward } from "../reference-forward.ts";
import { createTinyCheckpoint, createTinyDelta, TINY_CONFIGS } from "../tiny-checkpoint.ts";
import { type DenseRunner, openCpuRunner } from "./cpu-runner.ts";

const LIMITS = { rowsMax: 8, kvTokensMax: 2048, slotsMax: 16, tableRanksMax: 512 };
/** As asked of the whole system, against transformers in float32. */
const TOLERANCE = 1e-4;

const directory = await mkdtemp(path.join(tmpdir(), "runner-"));
afterAll(() => rm(directory, { recursive: true }));

describe.each(Object.entries(TINY_CONFIGS))("%s", async (name, config) => {
  const random = seededRandom(7);
  const checkpoint = await createTinyCheckpoint(path.join(directory, name), config, random);
  const tokens = (count: number) => Array.from({ length: count }, () => random.below(checkpoint.config.vocabularySize));

  test("a prompt's logits are those of the plain computation", async () => {
    await using runner = await open(checkpoint);
    const prompt = tokens(20);
    const [logits] = await runner.run([{ row: row(runner), tokens: prompt, slot: undefined, logits: "all" }]);
    expectClose(logits!, await referenceForward(checkpoint, prompt));
  });

  test("who is content with the largest logits gets all, since they are here", async () => {
    await using runner = await open(checkpoint);
    const prompt = tokens(5);
    const [asked, all] = await runner.run(
      (["top", "last"] as const).map((logits) => ({ row: row(runner), tokens: prompt, slot: undefined, logits })),
    );
    expect(asked).toEqual(all);
  });

  test("the next run takes the memory of the last one's logits back", async () => {
    await using runner = await open(checkpoint);
    const step = { row: row(runner), tokens: tokens(1), slot: undefined, logits: "last" } as const;
    const [first] = await runner.run([step]);
    expect(first).toHaveLength(checkpoint.config.vocabularySize);
    await runner.run([step]);
    expect(first).toHaveLength(0);
  });

  test("chunks, single tokens and the whole give the same, also across blocks of the cache", async () => {
    await using runner = await open(checkpoint);
    const text = tokens(150);
    const expected = await referenceForward(checkpoint, text);
    const cut = row(runner);
    for (const [from, to] of [
      [0, 5],
      [5, 70],
      [70, 71],
      [71, 72],
      [72, 140],
      ...Array.from({ length: 10 }, (_, i) => [140 + i, 141 + i] as const),
    ] as const) {
      const [logits] = await runner.run([{ row: cut, tokens: text.slice(from, to), slot: undefined, logits: "last" }]);
      expectClose(logits!, [expected[to - 1]!]);
    }
  });

  test("drafts are computed beside single tokens, with deltas and across blocks; of them the row has what is accepted", async () => {
    await using runner = await open(checkpoint);
    const delta = createTinyDelta(checkpoint, 8, random);
    const slots = [undefined, slot(runner, delta)];
    const texts = [0, 1, 1].map((which, index) => ({ which, text: tokens(80), row: row(runner), done: 60 + index }));
    const expected = await Promise.all(texts.map(({ which, text }) => referenceForward(checkpoint, text, which === 0 ? undefined : delta)));
    await runner.run(
      texts.map(({ row, which, text, done }) => ({ row, tokens: text.slice(0, done), slot: slots[which], logits: "none" as const })),
    );
    // By step, of each row: how much it tries, and how much of that is right.
    for (const step of [
      [
        [4, 4],
        [0, 0],
        [2, 1],
      ],
      [
        [3, 0],
        [1, 1],
        [0, 0],
      ],
      [
        [0, 0],
        [4, 2],
        [4, 3],
      ],
      [
        [2, 2],
        [0, 0],
        [1, 0],
      ],
    ] as const) {
      const steps = texts.map(({ row, which, text, done }, index) => {
        const [tried, right] = step[index]!;
        const draft = text.slice(done + 1, done + 1 + tried).map((token, at) => (at < right ? token : (token + 1) % config.vocab_size));
        return { row, tokens: [text[done]!, ...draft], draftTokens: tried, slot: slots[which], logits: "all" as const };
      });
      const logits = await runner.run(steps);
      for (const [index, each] of texts.entries()) {
        const [, right] = step[index]!;
        expectClose(logits[index]!.subarray(0, (1 + right) * config.vocab_size), expected[index]!.slice(each.done, each.done + 1 + right));
        if (right > 0) runner.acceptDraft!(each.row, right);
        each.done += 1 + right;
      }
    }
    expect(() => runner.acceptDraft!(texts[0]!.row, 1)).toThrow("in the last step");
  });

  test("rows of one batch have their own deltas of any rank, or none", async () => {
    await using runner = await open(checkpoint);
    const deltas = [
      createTinyDelta(checkpoint, 4, random),
      createTinyDelta(checkpoint, 64, random),
      createTinyDelta(checkpoint, 10, random, /0\./),
      createTinyDelta(checkpoint, 8, random),
    ];
    const slots = deltas.map((delta) => slot(runner, delta));
    const cases = [0, 1, undefined, 2, 3, 0].map((delta, index) => ({ delta, text: tokens(6 + 9 * index), row: row(runner) }));
    const slotOf = (delta: number | undefined): Slot | undefined => (delta === undefined ? undefined : slots[delta]!);
    const expected = await Promise.all(
      cases.map(({ delta, text }) => referenceForward(checkpoint, text, delta === undefined ? undefined : deltas[delta])),
    );
    const first = await runner.run(
      cases.map(({ delta, text, row }) => ({ row, tokens: text.slice(0, -2), slot: slotOf(delta), logits: "all" })),
    );
    for (const [index, logits] of first.entries()) expectClose(logits, expected[index]!.slice(0, -2));
    for (const back of [2, 1]) {
      const step = await runner.run(
        cases.map(({ delta, text, row }) => ({ row, tokens: [text.at(-back)!], slot: slotOf(delta), logits: "last" })),
      );
      for (const [index, logits] of step.entries()) expectClose(logits, [expected[index]!.at(-back)!]);
    }
  });
});

describe("a batch over time", async () => {
  const random = seededRandom(11);
  const checkpoint = await createTinyCheckpoint(
    path.join(directory, "time"),
    TINY_CONFIGS["llama, grouped queries, tied, llama3 positions"],
    random,
  );
  const vocabulary = checkpoint.config.vocabularySize;

  test("whatever rows come and go around it, a text gets the same logits", async () => {
    await using runner = await open(checkpoint);
    const deltas = [8, 16, 4, 32, 8, 8].map((rank) => createTinyDelta(checkpoint, rank, random));
    const slots = deltas.map((delta) => slot(runner, delta));
    const texts = Array.from({ length: 24 }, (_, index) => ({
      tokens: Array.from({ length: 3 + random.below(130) }, () => random.below(vocabulary)),
      delta: index % 4 === 3 ? undefined : random.below(deltas.length),
    }));
    const running: { index: number; row: Row; done: number }[] = [];
    const finals = new Map<number, Float32Array>();
    let started = 0;
    while (finals.size < texts.length) {
      const roomFor = 5 + random.below(3) - running.length;
      for (const index of texts.keys().drop(started).take(Math.max(0, roomFor))) {
        running.push({ index, row: row(runner), done: 0 });
        started++;
      }
      const stepping = running.filter(() => random.float() < 0.8);
      if (stepping.length === 0) continue;
      const parts = stepping.map(({ index, done }) =>
        texts[index]!.tokens.slice(done, done + (random.float() < 0.5 ? 1 : 1 + random.below(60))),
      );
      const logits = await runner.run(
        stepping.map(({ index, row }, at) => {
          const { delta } = texts[index]!;
          return { row, tokens: parts[at]!, slot: delta === undefined ? undefined : slots[delta]!, logits: "last" };
        }),
      );
      for (const [at, sequence] of stepping.entries()) {
        sequence.done += parts[at]!.length;
        if (sequence.done < texts[sequence.index]!.tokens.length) continue;
        finals.set(sequence.index, logits[at]!.slice());
        runner.close(sequence.row);
        running.splice(running.indexOf(sequence), 1);
      }
    }
    for (const [index, logits] of finals) {
      const { tokens, delta } = texts[index]!;
      const alone = row(runner);
      const [expected] = await runner.run([{ row: alone, tokens, slot: delta === undefined ? undefined : slots[delta]!, logits: "last" }]);
      expectClose(logits, [[...expected!]]);
      runner.close(alone);
    }
  });

  test("an overflow in one row stays in that row", async () => {
    await using runner = await open(checkpoint);
    const wild = createTinyDelta(checkpoint, 4, random);
    for (const { a } of wild.layers) a.fill(3e38);
    const wildSlot = slot(runner, wild);
    const tameSlot = slot(runner, createTinyDelta(checkpoint, 32, random));
    const text = Array.from({ length: 12 }, () => random.below(vocabulary));
    const rows = [wildSlot, tameSlot, undefined].map((slot) => ({ row: row(runner), slot }));
    for (const tokens of [text.slice(0, 10), [text[10]!], [text[11]!]]) {
      const logits = await runner.run(rows.map((each) => ({ ...each, tokens, logits: "last" })));
      expect(logits[0]!.some(Number.isNaN)).toBe(true);
      expect(logits.slice(1).some((each) => each.some(Number.isNaN))).toBe(false);
    }
    // Nor does it stay behind in the cache for whoever comes next.
    for (const { row } of rows) runner.close(row);
    const next = row(runner);
    await runner.run([{ row: next, tokens: text.slice(0, 11), slot: undefined, logits: "none" }]);
    const [logits] = await runner.run([{ row: next, tokens: text.slice(11), slot: undefined, logits: "last" }]);
    expectClose(logits!, [(await referenceForward(checkpoint, text)).at(-1)!]);
  });

  test("rows, cache, slots and tables have an end, and what is given back is free again", async () => {
    await using runner = await open(checkpoint, { rowsMax: 3, kvTokensMax: 200, slotsMax: 3, tableRanksMax: 64 });
    const first = row(runner, 150);
    expect(runner.open(51)).toBeUndefined();
    const second = row(runner, 25);
    row(runner, 25);
    expect(runner.open(1)).toBeUndefined();
    runner.close(first);
    runner.close(second);
    expect(runner.open(175)).toBeDefined();

    const big = slot(runner, createTinyDelta(checkpoint, 32, random));
    slot(runner, createTinyDelta(checkpoint, 17, random));
    expect(runner.attach(createTinyDelta(checkpoint, 1, random))).toBeUndefined();
    runner.detach(big);
    slot(runner, createTinyDelta(checkpoint, 4, random));
    slot(runner, createTinyDelta(checkpoint, 4, random));
    expect(runner.attach(createTinyDelta(checkpoint, 4, random))).toBeUndefined();
  });
});

function open(checkpoint: Checkpoint, limits = LIMITS): Promise<DenseRunner> {
  return openCpuRunner(checkpoint, { limits, threads: 1 });
}

function row(runner: Runner, tokensMax = 200): Row {
  const opened = runner.open(tokensMax);
  expect(opened).toBeDefined();
  return opened!;
}

function slot(runner: Runner, delta: LoadedDelta): Slot {
  const attached = runner.attach(delta);
  expect(attached).toBeDefined();
  return attached!;
}

function expectClose(logits: Float32Array, expected: readonly (readonly number[])[]): void {
  const flat = expected.flat();
  expect(logits.length).toBe(flat.length);
  const scale = Math.max(1, ...flat.map(Math.abs));
  const worst = Math.max(...flat.map((value, index) => Math.abs(value - logits[index]!)));
  expect(worst / scale).toBeLessThan(TOLERANCE);
}
