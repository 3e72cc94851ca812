import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openCheckpoint, openTextCodec } from "#model";
import { type Accuracy, measureAccuracy } from "./demo-accuracy.ts";
import { readTask } from "./demo-data.ts";
import { type DeltaRecipe, RECIPES, TASKS, type Task, trainDelta } from "./demo-delta.ts";

// Trains the demo's deltas with our own trainer and measures them with our own engine; see README.md.

const DATA = join(import.meta.dirname, "data");
const BASE = join(import.meta.dirname, "../demo-base");

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    base: { type: "string", default: BASE },
    into: { type: "string", default: ".deltaplane/train-demo" },
    data: { type: "string", default: DATA },
    examples: { type: "string" },
    epochs: { type: "string" },
    rank: { type: "string" },
    alpha: { type: "string" },
    rate: { type: "string" },
    batch: { type: "string" },
    decay: { type: "string" },
  },
});

/** One delta's settings and what came out; accuracies are of the bare base and of the base with the delta. */
interface DeltaResult {
  readonly examples: number;
  readonly rank: number;
  readonly alpha: number;
  readonly rankStabilised: boolean;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly steps: number;
  readonly seconds: number;
  readonly heldOut: number;
  readonly base: Accuracy;
  readonly delta: Accuracy;
}

function changed({ settings, plan }: DeltaRecipe): DeltaRecipe {
  const { rank, alpha, epochs, rate, batch, decay } = options;
  const or = (given: string | undefined, usual: number) => (given === undefined ? usual : Number(given));
  const optimizer = { ...plan.optimizer, weightDecay: or(decay, plan.optimizer.weightDecay) };
  return {
    settings: { ...settings, rank: or(rank, settings.rank), alpha: or(alpha, settings.alpha) },
    plan: { ...plan, epochs: or(epochs, plan.epochs), learningRate: or(rate, plan.learningRate), batchSize: or(batch, plan.batchSize), optimizer },
  };
}

const checkpoint = await openCheckpoint(options.base, { name: "demo-base" });
const codec = await openTextCodec(options.base, checkpoint.info);
const results: Partial<Record<Task, DeltaResult>> = {};
for (const task of TASKS.filter((name) => options.only === undefined || name === options.only)) {
  results[task] = await make(task);
  console.log(JSON.stringify({ task, ...results[task] }));
}
await mkdir(options.into, { recursive: true });
await writeFile(join(options.into, "results.json"), `${JSON.stringify(results, undefined, 2)}\n`);

async function make(task: Task): Promise<DeltaResult> {
  const into = join(options.into, task);
  await rm(into, { recursive: true, force: true });
  const all = await readTask(join(options.data, `${task}-train.jsonl`));
  const examples = options.examples === undefined ? all : all.slice(0, Number(options.examples));
  const heldOut = await readTask(join(options.data, `${task}-heldout.jsonl`));
  const recipe = changed(RECIPES[task]);
  const { directory, seconds, steps } = await trainDelta(checkpoint, codec, examples, recipe, into, (line) =>
    console.error(`${task}: ${line}`),
  );
  const { epochs, batchSize, learningRate } = recipe.plan;
  return {
    examples: examples.length,
    ...recipe.settings,
    ...{ epochs, batchSize, learningRate, steps },
    seconds: Math.round(seconds),
    heldOut: heldOut.length,
    base: await measureAccuracy(checkpoint, codec, undefined, heldOut),
    delta: await measureAccuracy(checkpoint, codec, directory, heldOut),
  };
}
