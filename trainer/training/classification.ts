import { assert, type Tokens } from "#kernel";
import type { Microbatch } from "./batches.ts";
import { type ClassScores, classScores } from "./class-scores.ts";
import type { Example } from "./example.ts";
import type { GradientSession, ParameterValues } from "./gradient-session.ts";
import type { PackedExamples } from "./packed-examples.ts";

/** Held-out examples whose answers are few different ones. */
export interface Classification {
  /** The different answers, as tokens. */
  readonly classes: readonly (readonly number[])[];
  /** The class that precision and recall are asked for. */
  readonly positive: number | undefined;
  readonly cases: readonly Case[];
}

interface Case {
  readonly prompt: readonly number[];
  /** The class it should be. */
  readonly truth: number;
}

export interface ClassificationScore extends ClassScores {
  readonly cases: number;
}

/** More than that are no labels. */
const CLASSES_MAX = 64;
/** A share is then known to about ±3 %. */
const CASES_MAX = 1000;

/**
 * The held-out examples as a classification among the answers of the training examples; undefined when these are more
 * than 64 or fewer than 2. A held-out answer that was never trained on counts as a class that is always missed.
 */
export function classificationOf(
  examples: PackedExamples,
  heldOut: PackedExamples,
  positive: readonly number[] | undefined,
): Classification | undefined {
  const classes = new Map<string, { readonly index: number; readonly answer: readonly number[] }>();
  const classify = (answer: readonly number[]): number => {
    const key = answer.join();
    const known = classes.get(key) ?? { index: classes.size, answer };
    classes.set(key, known);
    return known.index;
  };
  for (const example of examples) {
    classify(example.tokenIds.slice(answerStart(example)));
    if (classes.size > CLASSES_MAX) return undefined;
  }
  const cases: Case[] = [];
  for (const example of heldOut) {
    if (cases.length === CASES_MAX) break;
    const start = answerStart(example);
    if (start > 0) cases.push({ prompt: example.tokenIds.slice(0, start), truth: classify(example.tokenIds.slice(start)) });
  }
  if (classes.size < 2 || classes.size > CLASSES_MAX || cases.length === 0) return undefined;
  const wanted = positive && [...classes.values()].find(({ answer }) => startsWith(answer, positive))?.index;
  return { classes: [...classes.values()].map(({ answer }) => answer), positive: wanted, cases };
}

/** Where the answer begins: the tokens at the end that count in full. */
function answerStart({ tokenIds, weights }: Example): number {
  let start = tokenIds.length;
  while (start > 0 && weights[start - 1]! >= 1) start--;
  return start;
}

/** The positive class is named without the token that ends an answer. */
function startsWith(answer: readonly number[], beginning: readonly number[]): boolean {
  return beginning.every((tokenId, place) => answer[place] === tokenId) && answer.length - beginning.length <= 1;
}

/** Lets the model choose one of the classes for every case. */
export async function scoreClassification(
  session: GradientSession,
  values: ParameterValues,
  classification: Classification,
  microbatchTokensMax: Tokens,
): Promise<ClassificationScore> {
  const { classes, cases, positive } = classification;
  // Where the first tokens differ, greedy decoding decides with the first; otherwise the likeliest whole answer counts.
  const firsts = new Set(classes.map(([first]) => first));
  const answers = firsts.size === classes.length ? classes.map((answer) => answer.slice(0, 1)) : classes;
  const chosen: number[] = [];
  const tokens = (one: Case) => one.prompt.length + Math.max(...answers.map(({ length }) => length));
  for (const one of cases) {
    const perPart = Math.max(1, Math.floor(microbatchTokensMax / tokens(one)));
    const scores = new Float64Array(classes.length);
    if (answers.every(({ length }) => length === 1)) scores.set(await session.losses(firstTokens(one.prompt, answers), values));
    else
      for (let start = 0; start < answers.length; start += perPart) {
        const part = answers.slice(start, start + perPart);
        addUp(await session.losses(wholeAnswers(one.prompt, part), values), part, scores.subarray(start));
      }
    chosen.push(scores.reduce((least, score, index) => (score < scores[least]! ? index : least), 0));
  }
  const truths = cases.map(({ truth }) => truth);
  return { cases: cases.length, ...classScores(truths, chosen, classes.length, positive) };
}

/** One row whose last place is asked for every class. */
function firstTokens(prompt: readonly number[], answers: readonly (readonly number[])[]): Microbatch {
  const last = BigInt(prompt.length - 1);
  return {
    rows: 1,
    span: prompt.length,
    tokenIds: BigInt64Array.from(prompt, BigInt),
    wanted: new BigInt64Array(answers.length).fill(last),
    targets: BigInt64Array.from(answers, ([first]) => BigInt(first!)),
    weights: new Float32Array(answers.length),
  };
}

/** A row for each answer. */
function wholeAnswers(prompt: readonly number[], answers: readonly (readonly number[])[]): Microbatch {
  const span = prompt.length + Math.max(...answers.map(({ length }) => length)) - 1;
  const tokenIds = new BigInt64Array(answers.length * span);
  const wanted: bigint[] = [];
  for (const [row, answer] of answers.entries()) {
    for (const [place, tokenId] of [...prompt, ...answer.slice(0, -1)].entries()) tokenIds[row * span + place] = BigInt(tokenId);
    for (const place of answer.keys()) wanted.push(BigInt(row * span + prompt.length - 1 + place));
  }
  const targets = BigInt64Array.from(answers.flat(), BigInt);
  const weights = new Float32Array(targets.length);
  return { rows: answers.length, span, tokenIds, wanted: BigInt64Array.from(wanted), targets, weights };
}

/** The sum over the tokens of each answer. */
function addUp(losses: Float32Array, answers: readonly (readonly number[])[], into: Float64Array): void {
  let at = 0;
  for (const [index, answer] of answers.entries()) for (const _ of answer) into[index]! += losses[at++]!;
  assert(at === losses.length, "every token of every answer has a loss");
}
