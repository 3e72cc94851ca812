import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { seededRandom } from "#kernel";
import { type BaseInfo, type Checkpoint, openTextCodec } from "#model";
import { openRunner, type WeightFormat } from "#node-agent";

/** How one format predicts the same texts, token after token. */
export interface Quality {
  readonly perplexity: number;
  /** Mean Kullback-Leibler divergence from float32's distribution of the next token to this one, in nats. */
  readonly divergence: number;
  /** Share of tokens after which both find the same token most likely. */
  readonly agreement: number;
}

const TEXTS_PER_TASK = 60;
const RANDOM = { texts: 4, tokens: 64 } as const;

/** The demo's held-out examples, prompt and completion: nothing that its base was trained on. */
export async function heldOutTexts(directory: string, base: BaseInfo): Promise<readonly (readonly number[])[]> {
  const codec = await openTextCodec(directory, base);
  const texts: number[][] = [];
  for (const task of ["tax", "copy", "translate"]) {
    const lines = (await readFile(join(directory, "../demo-deltas", task, "heldout.jsonl"), "utf8")).trim().split("\n");
    for (const line of lines.slice(0, TEXTS_PER_TASK)) {
      const { prompt, completion } = JSON.parse(line) as { prompt: string; completion: string };
      texts.push(await codec.encode(`${prompt}\n${completion}`));
    }
  }
  return texts;
}

/** For models with random weights, which find all texts equally unlikely. */
export function randomTexts(base: BaseInfo): readonly (readonly number[])[] {
  const random = seededRandom(9);
  return Array.from({ length: RANDOM.texts }, () => Array.from({ length: RANDOM.tokens }, () => random.below(base.vocabularySize)));
}

/** Every format over every text; `formats` has float32 first, to which the others are compared. */
export async function measureQuality<Format extends WeightFormat>(
  checkpoint: Checkpoint,
  texts: readonly (readonly number[])[],
  formats: readonly Format[],
  threads: number,
): Promise<ReadonlyMap<Format, Quality>> {
  const { vocabularySize } = checkpoint.info;
  await using runners = new AsyncDisposableStack();
  const opened = [];
  const tokensMax = Math.max(...texts.map((text) => text.length));
  const limits = { rowsMax: 1, kvTokensMax: tokensMax, slotsMax: 1, tableRanksMax: 8 };
  for (const weights of formats) {
    opened.push(runners.use(await openRunner(checkpoint, { limits, threads, compute: { provider: "cpu", weights } })));
  }
  const sums = formats.map(() => ({ loss: 0, divergence: 0, agreed: 0 }));
  let count = 0;
  for (const text of texts) {
    const logits: Float32Array[] = [];
    for (const runner of opened) logits.push(await allLogits(runner, text));
    for (let place = 0; place + 1 < text.length; place++) {
      const distributions = logits.map((each) => logShares(each.subarray(place * vocabularySize, (place + 1) * vocabularySize)));
      for (const [index, own] of distributions.entries()) compare(sums[index]!, distributions[0]!, own, text[place + 1]!);
      count++;
    }
  }
  return new Map(
    formats.map((format, index) => {
      const { loss, divergence, agreed } = sums[index]!;
      return [format, { perplexity: Math.exp(loss / count), divergence: divergence / count, agreement: agreed / count }];
    }),
  );
}

async function allLogits(runner: Awaited<ReturnType<typeof openRunner>>, text: readonly number[]): Promise<Float32Array> {
  const row = runner.open(text.length);
  if (row === undefined) throw new Error("a runner has room for one text");
  const [logits] = await runner.run([{ row, tokens: text, slot: undefined, logits: "all" }]);
  runner.close(row);
  if (!(logits instanceof Float32Array)) throw new Error("a runner gives all logits when it is asked for them");
  return logits;
}

function compare(
  sums: { loss: number; divergence: number; agreed: number },
  reference: Float64Array,
  own: Float64Array,
  next: number,
): void {
  let divergence = 0;
  for (const [token, logShare] of reference.entries()) divergence += Math.exp(logShare) * (logShare - own[token]!);
  sums.loss -= own[next]!;
  sums.divergence += divergence;
  if (likeliest(reference) === likeliest(own)) sums.agreed++;
}

function logShares(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, logit) => Math.max(most, logit));
  const sum = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return Float64Array.from(logits, (logit) => logit - largest - Math.log(sum));
}

function likeliest(values: Float64Array): number {
  let found = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! > values[found]!) found = index;
  return found;
}
