import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { seededRandom } from "#kernel";
import { type BaseInfo, type LoadedDelta, openCheckpoint, openTextCodec } from "#model";
import type { Sampling } from "#node-agent";
import { loadDeltas, randomPrompts } from "./engine-table.ts";

/** Texts of one kind, so many at a time. */
export interface TextKind {
  readonly name: string;
  /** In the summary. */
  readonly key: string;
  readonly prompts: readonly (readonly number[])[];
  readonly newTokensMax: number;
  readonly sampling: Partial<Sampling>;
  /** Whether texts end where the model ends them; else all have `newTokensMax`. */
  readonly ends: boolean;
  readonly delta: LoadedDelta | undefined;
  readonly atOnce: number;
}

const TEXTS = 8;
const PROMPT_TOKENS = 128;
const NEW_TOKENS = 128;
/** More than fit a step with drafts: they must lose nothing. */
const MANY = 16;

/**
 * Of a model with random weights: what it writes greedily runs into loops sooner and tighter than any text of a trained model, and what
 * is drawn at temperature 1 repeats nothing. Real texts lie between the two.
 */
export function generatedKinds(base: BaseInfo): readonly TextKind[] {
  const common = { newTokensMax: NEW_TOKENS, ends: false, delta: undefined };
  const prompts = randomPrompts(base, TEXTS, PROMPT_TOKENS, NEW_TOKENS);
  const many = randomPrompts(base, MANY, PROMPT_TOKENS, NEW_TOKENS);
  return [
    { ...common, key: "loops", name: "greedy, loops", prompts, sampling: {}, atOnce: 1 },
    { ...common, key: "loops", name: "greedy, loops", prompts, sampling: {}, atOnce: 4 },
    { ...common, key: "loops", name: "greedy, loops", prompts: many, sampling: {}, atOnce: MANY },
    { ...common, key: "no_repeats", name: "temperature 1, no repeats", prompts, sampling: { temperature: 1, seed: 1n }, atOnce: 1 },
    {
      ...common,
      key: "false_repeats",
      name: "temperature 1 of 40, false repeats",
      prompts: fewTokens(base),
      sampling: { temperature: 1, topK: 40, seed: 1n },
      atOnce: 1,
    },
  ];
}

/** Prompts over so few tokens that every one stood there before, and never with the same one after it for long: drafts that are nearly always wrong. */
function fewTokens(base: BaseInfo): readonly (readonly number[])[] {
  const random = seededRandom(TEXTS);
  return Array.from({ length: TEXTS }, () => Array.from({ length: PROMPT_TOKENS }, () => random.below(Math.min(40, base.vocabularySize))));
}

const DEMO_TEXTS = 60;
/** Far longer than any answer. */
const DEMO_TOKENS_MAX = 128;

/** The demo's held-out prompts, each with its task's delta, up to where it ends the answer. */
export async function demoKinds(directory: string): Promise<readonly TextKind[]> {
  const { info } = await openCheckpoint(directory);
  const codec = await openTextCodec(directory, info);
  const kinds: TextKind[] = [];
  for (const task of ["tax", "copy", "translate"]) {
    const folder = join(directory, "../demo-deltas", task);
    const [delta] = await loadDeltas(info, [folder]);
    const lines = (await readFile(join(folder, "heldout.jsonl"), "utf8")).trim().split("\n").slice(0, DEMO_TEXTS);
    const prompts: number[][] = [];
    for (const line of lines) prompts.push(await codec.encode(`${(JSON.parse(line) as { prompt: string }).prompt}\n`));
    kinds.push({ name: task, key: task, prompts, newTokensMax: DEMO_TOKENS_MAX, sampling: {}, ends: true, delta, atOnce: 1 });
  }
  return kinds;
}
