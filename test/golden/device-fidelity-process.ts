// The fidelity suite on whatever device there is, in a process of its own: the runtime looks for devices when it is loaded. Prints what
// came out, a line of JSON for each case; device-fidelity.test.ts knows what is right.
import { seededRandom } from "#kernel";
import type { Checkpoint } from "#model";
import type { Slot } from "#node-agent";
import { DeviceMemory } from "../../node-agent/engine/runner/device/device-memory.ts";
import type { Row, Runner, StepRow } from "../../node-agent/engine/runner/index.ts";
import { createTinyDelta } from "../../node-agent/engine/runner/tiny-checkpoint.ts";
import { askAgain } from "./device-prefix.ts";
import { type CaseReport, PREFIX_PROMPT_TOKENS, type StepTraffic } from "./device-report.ts";
import { type GoldenCase, type GoldenPrompt, type GoldenVariant, readGoldenCase } from "./golden-case.ts";
import { answer, distance, type OpenCase, openCase } from "./golden-runner.ts";

/** As promised. All variants together decode fewer: on a processor that plays a device, a step of nine deltas takes its time. */
const GREEDY_TOKENS = 32;
const MIXED_TOKENS = 5;

/** Short prompts of these variants in one batch: prefill of each, then decoding together. */
async function batch({ runner, slots }: OpenCase, variants: readonly GoldenVariant[], greedyTokens: number): Promise<CaseReport["mixed"]> {
  const rows = variants.map((variant) => ({ variant, prompt: variant.prompts[0]! }));
  const answers = await answer(
    runner,
    rows.map(({ variant, prompt }) => ({ slot: slots.get(variant), prompt })),
    greedyTokens,
  );
  return rows.map(({ variant, prompt }, index) => ({
    name: variant.name,
    worst: distance(answers[index]!.promptLogits, prompt.promptLogits),
    greedy: answers[index]!.greedy,
    expected: prompt.greedy.slice(0, greedyTokens),
  }));
}

/** A long prompt with a delta, whole and in chunks: [distance from the reference, of the chunked from the whole]. */
async function chunks(golden: GoldenCase, { runner, slots }: OpenCase): Promise<CaseReport["chunks"]> {
  const variant = golden.variants.at(-1)!;
  const prompt = variant.prompts[1]!;
  const slot = slots.get(variant);
  const last = async (cuts: readonly number[]) => {
    const row = runner.open(prompt.tokens.length)!;
    let logits = new Float32Array();
    for (const [index, end] of cuts.entries()) {
      const tokens = prompt.tokens.slice(cuts[index - 1] ?? 0, end);
      logits = Float32Array.from((await runner.run([{ row, slot, tokens, logits: "last" }]))[0] as Float32Array);
    }
    runner.close(row);
    return logits;
  };
  const whole = await last([prompt.tokens.length]);
  const chunked = await last([16, 17, 40, prompt.tokens.length]);
  return { fromReference: distance(whole, prompt.promptLogits), fromWhole: distance(whole, chunked) };
}

/** Texts that come, go, stop and begin again beside one that runs through: that one's tokens, and those of the one that was parked. */
async function comings(golden: GoldenCase, { runner, slots }: OpenCase): Promise<NonNullable<CaseReport["comings"]>> {
  const [steady, parked, passing] = [1, 2, 3].map((index) => {
    const variant = golden.variants[index]!;
    return new Text(runner, slots.get(variant), variant.prompts[index === 3 ? 1 : 0]!);
  });
  for (let step = 0; step < 12; step++) {
    if (step === 3) passing!.join();
    if (step === 4) parked!.leave();
    if (step === 6) passing!.leave();
    if (step === 7) parked!.join();
    const running = [steady!, parked!, passing!].filter((text) => text.running);
    const logits = await runner.run(running.map((text) => text.next()));
    for (const [index, text] of running.entries()) text.take(logits[index] as Float32Array);
  }
  const greedy = [steady!, parked!].map((text) => ({ greedy: text.greedy, expected: text.prompt.greedy.slice(0, text.greedy.length) }));
  for (const text of [steady!, parked!]) text.leave();
  return greedy;
}

/** A text that can leave its row and begin again in another, as the engine parks and resumes it. */
class Text {
  readonly prompt: GoldenPrompt;
  readonly greedy: number[] = [];
  readonly #runner: Runner;
  readonly #slot: Slot | undefined;
  #row: Row | undefined;
  #computed = 0;

  constructor(runner: Runner, slot: Slot | undefined, prompt: GoldenPrompt) {
    this.#runner = runner;
    this.#slot = slot;
    this.prompt = prompt;
    if (prompt.kind === "short") this.join();
  }

  get running(): boolean {
    return this.#row !== undefined;
  }

  join(): void {
    this.#row = this.#runner.open(this.prompt.tokens.length + GREEDY_TOKENS)!;
    this.#computed = 0;
  }

  leave(): void {
    this.#runner.close(this.#row!);
    this.#row = undefined;
  }

  next(): StepRow {
    const tokens = [...this.prompt.tokens, ...this.greedy].slice(this.#computed);
    this.#computed += tokens.length;
    return { row: this.#row!, slot: this.#slot, tokens, logits: "last" };
  }

  take(logits: Float32Array): void {
    this.greedy.push(logits.indexOf(Math.max(...logits)));
  }
}

/**
 * A text of the plain base beside one whose delta overflows, and then a text in the slot of that one: distances from the reference, of
 * logits after some of the prompt's tokens.
 */
async function overflow(golden: GoldenCase, { runner }: OpenCase): Promise<NonNullable<CaseReport["overflow"]>> {
  const prompt = golden.variants[0]!.prompts[0]!;
  const wild = createTinyDelta({ info: runner.base } as Checkpoint, 4, seededRandom(3));
  for (const { a } of wild.layers) a.fill(3e38);
  const slot = runner.attach(wild)!;
  while (!(await runner.fill(slot)));
  const [wildRow, tameRow] = [runner.open(40)!, runner.open(40)!];
  let overflows = true;
  const beside = await walk(prompt, runner.base.vocabularySize, async (tokens) => {
    const [lost, kept] = await runner.run([
      { row: wildRow, slot, tokens, logits: "last" },
      { row: tameRow, slot: undefined, tokens, logits: "last" },
    ]);
    overflows &&= (lost as Float32Array).some(Number.isNaN);
    return kept as Float32Array;
  });
  runner.close(wildRow);
  const next = runner.open(40)!;
  const afterwards = await walk(prompt, runner.base.vocabularySize, async (tokens) => {
    return (await runner.run([{ row: next, slot: undefined, tokens, logits: "last" }]))[0] as Float32Array;
  });
  for (const row of [tameRow, next]) runner.close(row);
  runner.detach(slot);
  return { overflows, beside, afterwards };
}

/** Most of a prompt at once, then token by token: the largest distance of what `step` gives from the reference. */
async function walk(prompt: GoldenPrompt, size: number, step: (tokens: readonly number[]) => Promise<Float32Array>): Promise<number> {
  const count = prompt.tokens.length;
  let worst = 0;
  for (const [from, to] of [
    [0, count - 2],
    [count - 2, count - 1],
    [count - 1, count],
  ] as const) {
    const logits = await step(prompt.tokens.slice(from, to));
    worst = Math.max(worst, distance(logits, prompt.promptLogits.subarray((to - 1) * size, to * size)));
  }
  return worst;
}

/** What one step of decoding sends over the bus: with little context and much, beside no other delta and eight, all logits and the largest. */
async function traffic(golden: GoldenCase): Promise<StepTraffic> {
  await using few = await openCase({ ...golden, variants: golden.variants.slice(0, 2) }, { provider: "webgpu", weights: "float32" });
  await using many = await openCase(golden, { provider: "webgpu", weights: "float32" });
  const step = async ({ runner, slots }: OpenCase, contextTokens: number, logits: "last" | "top") => {
    const slot = [...slots.values()][1];
    const row = runner.open(200)!;
    await runner.run([{ row, slot, tokens: new Array<number>(contextTokens).fill(5), logits: "none" }]);
    const before = runner.bus!;
    await runner.run([{ row, slot, tokens: [7], logits }]);
    const after = runner.bus!;
    runner.close(row);
    return { up: after.upBytes - before.upBytes, down: after.downBytes - before.downBytes };
  };
  return {
    shortContext: await step(many, 3, "last"),
    longContext: await step(many, 150, "last"),
    fewDeltas: await step(few, 3, "last"),
    top: await step(many, 3, "top"),
    vocabularySize: many.runner.base.vocabularySize,
  };
}

/** Long enough for two blocks of the cache to be kept. */
function repeatedPrompt({ variants }: GoldenCase): readonly number[] {
  const { tokens } = variants[0]!.prompts[1]!;
  return [...tokens, ...tokens].slice(0, PREFIX_PROMPT_TOKENS);
}

/** Kept to the end: the runtime forgets the device's compiled kernels with its last session. */
const keeper = await DeviceMemory.open("float32");
for (const [index, name] of process.argv.slice(2).entries()) {
  const golden = await readGoldenCase(name);
  const open = await openCase(golden, { provider: "webgpu", weights: "float32" });
  const mixed = await batch(open, golden.variants, MIXED_TOKENS);
  const long = await batch(
    open,
    [0, 7].map((variant) => golden.variants[variant]!),
    GREEDY_TOKENS,
  );
  const chunked = await chunks(golden, open);
  const first = index === 0 ? { comings: await comings(golden, open), overflow: await overflow(golden, open) } : undefined;
  const { memory } = open.runner;
  const prefix = first && (await askAgain(open.runner, repeatedPrompt(golden)));
  await open[Symbol.asyncDispose]();
  const report: CaseReport = {
    ...{ name, mixed, long, chunks: chunked, memory, comings: first?.comings, overflow: first?.overflow },
    traffic: first ? await traffic(golden) : undefined,
    prefix,
  };
  console.log(JSON.stringify(report));
}
await keeper[Symbol.asyncDispose]();
