import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { seededRandom, systemClock } from "#kernel";
import { type Checkpoint, openCheckpoint, openTextCodec, saveCheckpoint, type TextCodec } from "#model";
import { type Example, startTraining, TRAINING_DEFAULTS, type TrainingPlan } from "#trainer";

/** Documents are laid end to end in rows of so many tokens. */
const ROW_TOKENS = 256;
const BATCH_ROWS = 8;
/** As llama models begin. */
const WEIGHT_DEVIATION = 0.02;
const SEED = 1;

/** How long the base is trained: 2,000 steps are 4.1 million tokens. */
export function basePlan(learningRate: number): TrainingPlan {
  const optimizer = { ...TRAINING_DEFAULTS.optimizer, beta2: 0.98 };
  return {
    ...TRAINING_DEFAULTS,
    epochs: 1,
    batchSize: BATCH_ROWS,
    learningRate,
    warmupShare: 0.05,
    decay: "cosine",
    optimizer,
    seed: SEED,
  };
}

/** Rows for `steps` steps from documents as dump_data.py writes them: a text, or the messages of a chat, each. */
async function encodeDocuments(file: string, codec: TextCodec, checkpoint: Checkpoint, steps: number): Promise<readonly Example[]> {
  const lines = (await readFile(file, "utf8")).trim().split("\n");
  const [end] = checkpoint.info.eosTokenIds;
  const weights = new Array<number>(ROW_TOKENS).fill(1);
  const rows: Example[] = [];
  let waiting: number[] = [];
  for (const line of lines) {
    const document = JSON.parse(line) as string | { role: string; content: string }[];
    const text = typeof document === "string" ? `<|bos|>${document}\n` : codec.renderChat(document);
    waiting.push(...(await codec.encode(text, { addSpecialTokens: false })));
    if (typeof document === "string") waiting.push(end!);
    for (; waiting.length >= ROW_TOKENS; waiting = waiting.slice(ROW_TOKENS))
      rows.push({ tokenIds: waiting.slice(0, ROW_TOKENS), weights });
    if (rows.length >= steps * BATCH_ROWS) return rows.slice(0, steps * BATCH_ROWS);
  }
  throw new Error(`${lines.length} documents give ${rows.length} rows, fewer than ${steps * BATCH_ROWS}: dump more`);
}

/** A folder like the demo base, with weights that know nothing. */
export async function createUntrained(like: Checkpoint, directory: string): Promise<void> {
  const random = seededRandom(SEED);
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [name, { shape }] of like.tensors) {
    const own = new Float32Array(shape.reduce((product, size) => product * size, 1));
    values.set(name, shape.length === 1 ? own.fill(1) : own.map(() => WEIGHT_DEVIATION * normal(random.float(), random.float())));
  }
  await saveCheckpoint(directory, like, values);
}

/** Box and Muller, from two uniform numbers. */
function normal(one: number, other: number): number {
  return Math.sqrt(-2 * Math.log(1 - one)) * Math.cos(2 * Math.PI * other);
}

/** One stage of the base's training. */
export interface BaseRun {
  /** A file as dump_data.py writes it, long enough for the steps. */
  readonly documents: string;
  readonly plan: TrainingPlan;
  readonly steps: number;
  /** For the checkpoints, from which it goes on when it was interrupted, and the finished base. */
  readonly into: string;
}

/** Trains all weights of the base in a folder; gives the finished folder and what it took since it was last started. */
export async function trainBase(baseDirectory: string, { documents, plan, steps, into }: BaseRun, progress: (line: string) => void) {
  const directory = join(into, "base");
  const checkpoint = await openCheckpoint(baseDirectory, { name: "demo-base" });
  const codec = await openTextCodec(baseDirectory, checkpoint.info);
  await using training = await startTraining(
    { clock: systemClock },
    {
      baseDirectory,
      baseName: checkpoint.info.name,
      learnable: { kind: "full" },
      plan,
      examples: await encodeDocuments(documents, codec, checkpoint, steps),
      checkpointDirectory: join(into, "checkpoints"),
      checkpointEverySteps: 200,
      resultDirectory: directory,
      niceness: 0,
    },
  );
  const startMs = performance.now();
  let sinceMs = 0;
  for await (const report of training.reports) {
    if (report.kind !== "step") continue;
    sinceMs += report.durationMs;
    if (report.step % 20 !== 0) continue;
    const rate = Math.round((20 * BATCH_ROWS * ROW_TOKENS * 1000) / sinceMs);
    progress(`base: step ${report.step} of ${steps}, loss ${report.loss.toFixed(4)}, ${rate} tokens/s`);
    sinceMs = 0;
  }
  return { directory, tokens: steps * BATCH_ROWS * ROW_TOKENS, seconds: Math.round((performance.now() - startMs) / 1000) };
}
