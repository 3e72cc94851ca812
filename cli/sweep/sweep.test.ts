import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Job, JobState, StepMetrics } from "#proto";
import { adviseOnExamples } from "./advice.ts";
import { type Cell, cellName, cellsOf } from "./cells.ts";
import { curvePlot } from "./curve-plot.ts";
import { readQuestions } from "./exact-match.ts";
import { comparesLosses, curvesOf, sweepRow } from "./score-table.ts";
import { writeSubsets } from "./subset-files.ts";
import { chooseSubsets } from "./subsets.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-sweep-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("subsets", () => {
  test("each contains the smaller, none has a held-out record, and the seed alone decides", () => {
    const records = fc.integer({ min: 2, max: 300 });
    fc.assert(
      fc.property(records, fc.nat(), fc.boolean(), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }), (...given) => {
        const [count, seed, holdsOut, shares] = given;
        const available = count - (holdsOut ? Math.max(1, Math.floor(count / 5)) : 0);
        const sizes = shares.map((share) => 1 + Math.floor(share * (available - 1)));
        const { subsets, heldOut } = chooseSubsets(count, { sizes, seed, holdsOut });
        expect(heldOut).toHaveLength(count - available);
        expect([...subsets.keys()]).toEqual([...new Set(sizes)].sort((one, other) => one - other));
        let smaller: readonly number[] = [];
        for (const [size, own] of subsets) {
          expect(own).toEqual([...new Set(own)].sort((one, other) => one - other));
          expect(own).toHaveLength(size);
          expect(new Set(own).isSupersetOf(new Set(smaller))).toBe(true);
          expect(new Set(own).isDisjointFrom(new Set(heldOut))).toBe(true);
          smaller = own;
        }
        expect(chooseSubsets(count, { sizes: [sizes[0]!], seed, holdsOut }).subsets.get(sizes[0]!)).toEqual(subsets.get(sizes[0]!));
      }),
    );
  });

  test("sizes that nobody says are halves of what there is; too large ones are refused", () => {
    expect([...chooseSubsets(100, { sizes: undefined, seed: 1, holdsOut: true }).subsets.keys()]).toEqual([10, 20, 40, 80]);
    expect(() => chooseSubsets(100, { sizes: [81], seed: 1, holdsOut: true })).toThrow(
      /--sizes 81: there are 80 .* 20 of 100 are held out/,
    );
    expect(chooseSubsets(100, { sizes: [100], seed: 1, holdsOut: false }).heldOut).toEqual([]);
    const [one, other] = [1, 2].map((seed) => chooseSubsets(100, { sizes: [20], seed, holdsOut: true }).heldOut);
    expect(one).not.toEqual(other);
  });

  test("are written as lines of the file; the same content and seed is the same sweep", async () => {
    const trainingFile = join(folder, "train.jsonl");
    const line = (index: number) => JSON.stringify({ prompt: `p${index}`, completion: `c${index}` });
    const lines = Array.from({ length: 10 }, (_, index) => line(index));
    writeFileSync(trainingFile, `${lines.join("\n")}\n\n`);
    const wish = { trainingFile, validationFile: undefined, sizes: [3, 8], seed: 7, directory: join(folder, "out") };
    const { sweepId, subsets, heldOut } = await writeSubsets(wish);
    const text = readFileSync(subsets.get(8)!.path, "utf8");
    expect(subsets.get(8)).toMatchObject({ records: 8, sizeBytes: text.length });
    expect([...text.trim().split("\n"), ...readFileSync(heldOut.path, "utf8").trim().split("\n")].sort()).toEqual(lines);
    expect((await writeSubsets({ ...wish, sizes: [2] })).sweepId).toBe(sweepId);
    expect((await writeSubsets({ ...wish, seed: 8 })).sweepId).not.toBe(sweepId);
    await expect(writeSubsets({ ...wish, trainingFile: join(folder, "none") })).rejects.toMatchObject({ reason: "file_missing" });
  });
});

test("cells are every combination once, small sizes first", () => {
  const cells = cellsOf({ examples: [10, 20], bases: ["a", "b"], epochs: [], learningRateMultipliers: [0.5, 1, 1], ranks: [4] });
  expect(cells).toHaveLength(8);
  expect(new Set(cells.map(cellName)).size).toBe(8);
  expect(cellName(cells[0]!)).toBe("10 examples, a, lr × 0.5, rank 4");
  expect(cells.map(({ examples }) => examples)).toEqual([10, 10, 10, 10, 20, 20, 20, 20]);
});

describe("advice", () => {
  const points = (values: readonly number[], of: (value: number) => { loss: number; exactMatch: number | undefined }) =>
    values.map((value, index) => ({ examples: 25 * 2 ** index, ...of(value) }));
  const losses = (...values: number[]) => points(values, (loss) => ({ loss, exactMatch: undefined }));
  const shares = (...values: number[]) => points(values, (exactMatch) => ({ loss: 1, exactMatch }));

  test.each([
    ["falls by a tenth", losses(1, 0.9, 0.81), /^Worth labelling more .*loss by −10\.0 %; 200 would come to about 0\.729/],
    ["only the last doublings count", losses(9, 3, 1, 0.999, 0.998), /^Hardly worth/],
    ["falls a little", losses(1, 0.98, 0.9604), /^Labelling more would help a little/],
    ["rises", losses(1, 1.1, 1.2), /^More examples made it worse .*\+/],
    ["rights grow", shares(0.5, 0.6, 0.7), /^Worth labelling more .*exact match by \+10\.0 points; 200 would come to about 0\.80/],
    ["rights stay, whatever the loss", shares(0.9, 0.9, 0.901), /^Hardly worth/],
    ["all right", shares(0.5, 0.9, 1), /^Not worth labelling more: with 100 examples/],
    ["one size", losses(1), /^One size does not tell/],
    ["nothing", [], /^One size does not tell/],
  ])("%s", (_, given, said) => expect(adviseOnExamples(given, 200)).toMatch(said));

  test("few held-out records are said to be few", () => {
    expect(adviseOnExamples(losses(1, 0.5), 12)).toContain("Only 12 records");
    expect(adviseOnExamples(losses(1, 0.5), 200)).not.toContain("Only");
  });
});

describe("table", () => {
  const row = (examples: number, base: string, loss: number, exactMatch?: number, state: JobState = JobState.JOB_STATE_SUCCEEDED) => {
    const cell: Cell = { examples, base, epochs: undefined, learningRateMultiplier: 1, rank: undefined };
    const chosen = { epochs: 3, learningRateMultiplier: 1, rank: 8, targets: [] };
    const job = Job.fromPartial({ id: "ftjob-1", state, chosen, trainedTokens: 90 });
    return sweepRow({ cell, job, metrics: StepMetrics.fromPartial({ fullValidLoss: loss, fullValidMeanTokenAccuracy: 0.5 }) }, exactMatch);
  };

  test("a row shows what was used; a failed job is no point of a curve", () => {
    expect(row(10, "a", 2, 0.25)).toMatchObject({ epochs: 3, rank: 8, loss: 2, tokenAccuracy: 0.5, exactMatch: 0.25, trainedTokens: 90 });
    const failed = row(20, "a", 1, undefined, JobState.JOB_STATE_FAILED);
    expect(failed).toMatchObject({ loss: undefined, state: "failed" });
    expect(curvesOf([row(10, "a", 2), failed])[0]!.points).toHaveLength(1);
  });

  test("the best setting comes first: most sizes, then right answers, then loss", () => {
    const setting = (curves: ReturnType<typeof curvesOf>) => curves.map(({ base }) => base);
    expect(setting(curvesOf([row(20, "a", 2), row(10, "a", 3), row(10, "b", 3), row(20, "b", 1)]))).toEqual(["b", "a"]);
    expect(setting(curvesOf([row(10, "a", 2, 0.9), row(10, "b", 1, 0.5)]))).toEqual(["a", "b"]);
    expect(setting(curvesOf([row(10, "a", 1), row(10, "b", 3), row(20, "b", 3)]))).toEqual(["b", "a"]);
    expect(comparesLosses(curvesOf([row(10, "a", 1), row(10, "b", 3)]))).toBe(true);
    expect(comparesLosses(curvesOf([row(10, "a", 1, 1), row(10, "b", 3, 1)]))).toBe(false);
  });

  test("the plot has a line for each setting, and finite places also for one point", () => {
    const svg = curvePlot("loss <held out>", [
      {
        name: "a & b",
        points: [
          [10, 2],
          [40, 1],
        ],
      },
      { name: "c", points: [] },
    ]);
    expect(svg).toMatch(/^<svg .*&lt;held out>.*a &amp; b.*<\/svg>\n$/s);
    expect(svg.match(/<circle/g)).toHaveLength(2);
    expect(svg).toContain('points="70.0,40.0 690.0,370.0"');
    expect(curvePlot("one", [{ name: "a", points: [[10, 2]] }])).not.toMatch(/NaN|Infinity/);
  });
});

test("questions are asked where all answers are short", async () => {
  const file = join(folder, "held-out.jsonl");
  const short = { prompt: "a", completion: " yes" };
  const chat = {
    messages: [
      { role: "user", content: "b" },
      { role: "assistant", content: "no" },
    ],
  };
  const write = (...records: object[]) => writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  write(short, chat);
  expect(await readQuestions(file)).toMatchObject([
    { answer: " yes", prompt: { kind: { value: "a" } } },
    { answer: "no", prompt: { kind: { value: { messages: [{ role: "user", content: "b" }] } } } },
  ]);
  write(short, { prompt: "a", completion: "long ".repeat(20) });
  expect(await readQuestions(file)).toBeUndefined();
  writeFileSync(file, "{");
  expect(await readQuestions(file)).toBeUndefined();
});
