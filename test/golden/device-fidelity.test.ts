import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { topCount } from "#model";
import { softwareDevice } from "../software-device.ts";
import { type CaseReport, PREFIX_PROMPT_TOKENS } from "./device-report.ts";

/** The promise in float32. */
const TOLERANCE = 1e-4;
/** One of each family. */
const CASES = ["llama-gqa-tied", "qwen2-float32", "qwen3", "gpt2"] as const;
const device = softwareDevice();

/**
 * The device runner against the reference, on the software device that comes with chromium; skipped where there is none. The runtime looks
 * for devices when it is loaded, so this runs in a process whose environment names one.
 */
describe.skipIf(!device)("on a software device (skipped without chromium, which carries it)", () => {
  const reports = new Map<string, CaseReport>();
  const script = path.join(import.meta.dirname, "device-fidelity-process.ts");
  let stop: (() => void) | undefined;

  beforeAll(async () => {
    const child = spawn(process.execPath, [script, ...CASES], { env: { ...process.env, ...device }, stdio: ["ignore", "pipe", "inherit"] });
    stop = () => child.kill();
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    for await (const line of createInterface(child.stdout)) {
      const report = JSON.parse(line) as CaseReport;
      reports.set(report.name, report);
    }
    expect(await ended).toBe(0);
  }, 300_000);
  afterAll(() => stop?.());

  describe.each(CASES)("%s", (name) => {
    test.each([
      { kind: "mixed", rows: 9, tokens: 5 },
      { kind: "long", rows: 2, tokens: 32 },
    ] as const)("$rows rows of the base and its deltas in one batch: logits and $tokens greedy tokens of the reference", (batch) => {
      const answers = reports.get(name)![batch.kind];
      expect(answers).toHaveLength(batch.rows);
      for (const { name, worst, greedy, expected } of answers) {
        expect(worst, name).toBeLessThan(TOLERANCE);
        expect(greedy, name).toHaveLength(batch.tokens);
        expect(greedy, name).toEqual(expected);
      }
    });

    test("a long prompt in chunks gives what it gives whole", () => {
      const { fromReference, fromWhole } = reports.get(name)!.chunks;
      expect(fromReference).toBeLessThan(TOLERANCE);
      expect(fromWhole).toBeLessThan(TOLERANCE);
    });
  });

  test("a text is the same whoever comes and goes beside it, and when it leaves its row and begins again", () => {
    const [steady, parked] = reports.get(CASES[0])!.comings!;
    expect(steady!.greedy).toHaveLength(12);
    expect(parked!.greedy.length).toBeGreaterThan(6);
    for (const { greedy, expected } of [steady!, parked!]) expect(greedy).toEqual(expected);
  });

  test("an overflow in one row stays in that row, and does not outlive it in its slot", () => {
    const { overflows, beside, afterwards } = reports.get(CASES[0])!.overflow!;
    expect(overflows).toBe(true);
    expect(beside).toBeLessThan(TOLERANCE);
    expect(afterwards).toBeLessThan(TOLERANCE);
  });

  test("what a step sends over the bus depends neither on the context's length nor on how many deltas are there", () => {
    const { shortContext, longContext, fewDeltas, top, vocabularySize } = reports.get(CASES[0])!.traffic!;
    expect(longContext).toEqual(shortContext);
    expect(fewDeltas).toEqual(shortContext);
    // All logits come down, or the largest with their ids and a sum; tokens and places go up.
    expect(shortContext.down).toBe(4 * vocabularySize);
    expect(top.down).toBe(8 * topCount(vocabularySize) + 4);
    expect(shortContext.up).toBeLessThan(1024);
  });

  test("a text that begins like an earlier one of its tenant goes on there, also two at once, before anything is kept as well; nobody else's does", () => {
    const { cold, warm, rival, together, load } = reports.get(CASES[0])!.prefix!;
    expect(cold.computedTokens).toBe(PREFIX_PROMPT_TOKENS);
    expect(warm.computedTokens).toBe(2 * (PREFIX_PROMPT_TOKENS - 128));
    expect(rival.computedTokens).toBe(PREFIX_PROMPT_TOKENS);
    expect(together.computedTokens).toBe(PREFIX_PROMPT_TOKENS + PREFIX_PROMPT_TOKENS - 128);
    const [first] = cold.texts;
    for (const { greedy, logprobs } of [...warm.texts, ...together.texts]) {
      expect(greedy).toEqual(first!.greedy);
      for (const [at, logprob] of logprobs.entries()) expect(Math.abs(logprob - first!.logprobs[at]!)).toBeLessThan(TOLERANCE);
    }
    expect(load.keptTokens).toBe(2 * 128);
    expect(warm.upBytes, "places only").toBeLessThan(load.keptBytes / 16);
  });

  test("memory is told by what it is for", () => {
    const { memory } = reports.get(CASES[0])!;
    for (const bytes of [memory.weights, memory.cache, memory.tables]) expect(bytes).toBeGreaterThan(0);
  });
});
