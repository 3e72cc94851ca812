import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isFault } from "#kernel";
import type { TrainingBase } from "./encode.ts";
import { chooseEpochs } from "./epochs.ts";
import { type Preparation, prepareData } from "./prepare.ts";
import { trainedRows } from "./prepared-files.ts";
import { openDemoBase } from "./testing/demo-base.ts";
import { validateTrainingFile } from "./training-file.ts";

const RUNS = Number(process.env["DELTAPLANE_FUZZ"] ?? 150);

const folder = mkdtempSync(join(tmpdir(), "deltaplane-prepare-"));
afterAll(() => rmSync(folder, { recursive: true }));

let base: TrainingBase;
beforeAll(async () => {
  base = await openDemoBase(64);
});

function prepare(source: string, { accepts = true, split = false } = {}): Promise<Preparation> {
  return prepareData(source, { base, split: async () => split }, { told() {}, accepts: async () => accepts });
}

function fileOf(name: string, rows: readonly unknown[]): string {
  const own = mkdtempSync(join(folder, "case-"));
  writeFileSync(join(own, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return join(own, name);
}

/** Texts that share beginnings and ends, repeat, shout, or are next to nothing. */
const text = fc
  .array(
    fc.constantFrom(
      "the same beginning ",
      "Answer: ",
      " ",
      "\n",
      " ->",
      ".",
      " END",
      "***",
      "A",
      "B",
      "xyz",
      "SHOUT",
      "𝐀😀",
      "\ud83d\ude01",
      "ß",
    ),
    {
      maxLength: 6,
    },
  )
  .map((parts) => parts.join(""));
const completions = fc.array(
  fc.record({ prompt: text, completion: text, Extra: fc.boolean() }, { requiredKeys: ["prompt", "completion"] }),
  {
    maxLength: 12,
  },
);
const message = fc.record({ role: fc.constantFrom("system", "user", "assistant", "assistant"), content: text });
const conversations = fc.array(fc.record({ messages: fc.array(message, { maxLength: 5 }) }), { maxLength: 8 });

test.each([
  ["prompts and completions", completions],
  ["conversations", conversations],
] as const)("%s: what was prepared needs nothing more, and is accepted at upload", async (_, rows) => {
  await fc.assert(
    fc.asyncProperty(rows as fc.Arbitrary<readonly unknown[]>, fc.boolean(), async (given, accepts) => {
      const source = fileOf("data.jsonl", given);
      let first: Preparation;
      try {
        first = await prepare(source, { accepts });
      } catch (error) {
        // Nothing to learn from: said, and nothing is written.
        if (!isFault(error, "file_malformed") && !isFault(error, "context_too_long")) throw error;
        expect(readdirSync(join(source, ".."))).toEqual(["data.jsonl"]);
        return;
      }
      const prepared = first.files?.train.path ?? source;
      if (accepts) {
        const again = await prepare(prepared);
        expect(again.steps.filter(({ applied }) => applied)).toEqual([]);
        expect(again.files).toBeUndefined();
      }
      const bytes = async function* () {
        yield readFileSync(prepared);
      };
      const summary = await validateTrainingFile(bytes(), base);
      expect([summary.records, summary.tokens]).toEqual([first.rows.kept, first.tokens.total]);
    }),
    { numRuns: RUNS },
  );
});

const many = Array.from({ length: 50 }, (_, index) => ({ prompt: `Number ${index} ->`, completion: ` ${index} is ${index}\n` }));

describe("what is written", () => {
  test("never replaces a file, and the source stays as it is", async () => {
    const source = fileOf("data.json", many);
    const before = readFileSync(source, "utf8");
    const names = [];
    for (let time = 0; time < 3; time++) names.push((await prepare(source)).files!.train.path);
    expect(names.map((name) => name.slice(source.length - "data.json".length))).toEqual([
      "data_prepared.jsonl",
      "data_prepared (1).jsonl",
      "data_prepared (2).jsonl",
    ]);
    expect(new Set(names.map((name) => readFileSync(name, "utf8"))).size).toBe(1);
    expect(readFileSync(source, "utf8")).toBe(before);
  });

  test("is split in the same way each time: the two parts are the whole, in its order, and share their number", async () => {
    const source = fileOf("data.jsonl", many);
    writeFileSync(source.replace("data.jsonl", "data_prepared_valid.jsonl"), "taken");
    const first = (await prepare(source, { split: true })).files!;
    const second = (await prepare(source, { split: true })).files!;
    expect([first.train, first.valid!].map(({ path, rows }) => [path.slice(source.length - "data.jsonl".length), rows])).toEqual([
      ["data_prepared_train (1).jsonl", 40],
      ["data_prepared_valid (1).jsonl", 10],
    ]);
    const lines = (file: string) => readFileSync(file, "utf8").trimEnd().split("\n");
    expect(lines(second.train.path)).toEqual(lines(first.train.path));
    const all = lines(source);
    const [train, valid] = [lines(first.train.path), lines(first.valid!.path)];
    expect([...train, ...valid].sort()).toEqual([...all].sort());
    expect(all.filter((line) => train.includes(line))).toEqual(train);
    expect(train).not.toEqual(all.slice(0, 40));
    const whole = (await prepare(source)).tokens.total;
    expect(first.train.tokens + first.valid!.tokens).toBe(whole);
  });

  test("leaves nothing behind when it can't be written to the end", async () => {
    const source = fileOf("data.json", many);
    const failing = prepareData(
      source,
      {
        base,
        split: async () => {
          writeFileSync(source, "[]"); // Somebody saves the file in that very moment.
          return false;
        },
      },
      { told() {}, accepts: async () => true },
    );
    await expect(failing).rejects.toMatchObject({ reason: "version_conflict" });
    expect(readdirSync(join(source, ".."))).toEqual(["data.json"]);
  });
});

test("without consent only what is necessary is done, and the rest is named", async () => {
  const rows = [
    ...many.map(({ prompt, completion }) => ({ prompt, Completion: completion })),
    { prompt: "Number 0 ->", Completion: " 0 is 0\n" },
  ];
  const { steps, rows: counted, files } = await prepare(fileOf("data.jsonl", rows), { accepts: false });
  expect(steps.filter(({ kind }) => kind !== "note").map(({ check, kind, applied }) => [check, kind, applied])).toEqual([
    ["completion column", "necessary", true],
    ["duplicates", "recommended", false],
  ]);
  expect([counted, files!.train.rows]).toEqual([{ read: 51, kept: 51, dropped: 0 }, 51]);
});

test.each([
  [1, 25],
  [4, 25],
  [10, 10],
  [33, 3],
  [34, 3],
  [200, 3],
  [8333, 3],
  [8334, 2],
  [12_501, 1],
  [1_000_000, 1],
])("of %i examples, %i epochs are chosen", (examples, epochs) => {
  expect(chooseEpochs(examples).epochs).toBe(epochs);
});

test.each([
  [1, 1],
  [2, 1],
  [100, 80],
  [5000, 4000],
  [6000, 5000],
])("of %i rows, %i are trained on", (rows, trained) => {
  expect(trainedRows(rows)).toBe(trained);
});
