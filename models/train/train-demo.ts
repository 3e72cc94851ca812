import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openCheckpoint, openTextCodec } from "#model";
import { measureAccuracy } from "./demo-accuracy.ts";
import { basePlan, trainBase } from "./demo-base.ts";
import { readTask } from "./demo-data.ts";
import { type DeltaRecipe, RECIPES, TASKS, type Task, trainDelta } from "./demo-delta.ts";

// Trains the demo's deltas with our own trainer and measures them with our own engine; see README.md.

const DATA = join(import.meta.dirname, "data");
const MODELS = join(import.meta.dirname, "..");

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    base: { type: "string", default: join(MODELS, "demo-base") },
    into: { type: "string", default: ".deltaplane/train-demo" },
    data: { type: "string", default: DATA },
    examples: { type: "string" },
    epochs: { type: "string" },
    rank: { type: "string" },
    alpha: { type: "string" },
    rate: { type: "string" },
    batch: { type: "string" },
    decay: { type: "string" },
    documents: { type: "string" },
    steps: { type: "string", default: "1000" },
  },
});

/** A base of its own first, where documents for it are given. */
async function baseDirectory(): Promise<string> {
  if (options.documents === undefined) return options.base;
  const like = await openCheckpoint(options.base, { name: "demo-base" });
  const plan = basePlan(Number(options.rate ?? 3e-3));
  return trainBase(like, options.documents, plan, Number(options.steps), join(options.into, "base"), (line) => console.error(line));
}

function changed({ settings, plan }: DeltaRecipe): DeltaRecipe {
  const { rank, alpha, epochs, rate, batch, decay } = options;
  const newRank = rank === undefined ? settings.rank : Number(rank);
  return {
    settings: { ...settings, rank: newRank, alpha: alpha === undefined ? 2 * newRank : Number(alpha) },
    plan: {
      ...plan,
      epochs: epochs === undefined ? plan.epochs : Number(epochs),
      learningRate: rate === undefined ? plan.learningRate : Number(rate),
      batchSize: batch === undefined ? plan.batchSize : Number(batch),
      optimizer: { ...plan.optimizer, weightDecay: decay === undefined ? plan.optimizer.weightDecay : Number(decay) },
    },
  };
}

const directory = await baseDirectory();
const checkpoint = await openCheckpoint(directory, { name: "demo-base" });
const codec = await openTextCodec(directory, checkpoint.info);
for (const task of TASKS.filter((name) => options.only === undefined || name === options.only)) await make(task);

async function make(task: Task): Promise<void> {
  const into = join(options.into, task);
  await rm(into, { recursive: true, force: true });
  const all = await readTask(join(options.data, `${task}-train.jsonl`));
  const examples = options.examples === undefined ? all : all.slice(0, Number(options.examples));
  const recipe = changed(RECIPES[task]);
  const { directory, seconds, steps } = await trainDelta(checkpoint, codec, examples, recipe, into, (line) =>
    console.error(`${task}: ${line}`),
  );
  const accuracy = await measureAccuracy(checkpoint, codec, directory, await readTask(join(options.data, `${task}-heldout.jsonl`)));
  const { rank } = recipe.settings;
  console.log(JSON.stringify({ task, examples: examples.length, rank, ...pick(recipe), steps, seconds: Math.round(seconds), accuracy }));
}

function pick({ settings: { alpha }, plan: { epochs, batchSize, learningRate } }: DeltaRecipe) {
  return { alpha, epochs, batchSize, learningRate };
}
