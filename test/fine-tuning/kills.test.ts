import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom, systemClock } from "#kernel";
import {
  AdminServiceService,
  BillingServiceService,
  FineTuningServiceService,
  type GrpcChannel,
  type JobEvent,
  JobState,
  ModelServiceService,
} from "#proto";
import { bookPartsFromMessages, type PriceRecord, parsePriceList, verifyBooks } from "#router";
import type { JobRecord } from "../../router/catalog/index.ts";
import { OVER, startTrainingSystem, type TrainingSystem, trainingLines } from "./training-system.ts";

const SEED = 11;
const CHECKPOINT_STEPS = 10;
const LINES = trainingLines(24);
const HYPERPARAMETERS = { epochs: 25, batchSize: 2, rank: 2, checkpointSteps: CHECKPOINT_STEPS, targets: [] };
const STEPS = 25 * 12;
const PRICES = {
  ...{ version: 0, plan: "standard", effectiveFromMs: 0, bases: {}, gpuHourUsd: "0" },
  defaultPrices: { prompt: "0", cachedPrompt: "0", completion: "0", training: "2.000" },
};

let system: TrainingSystem;
let acme: GrpcChannel;
beforeAll(async () => {
  system = await startTrainingSystem({ leaseMs: 1_500 });
  await system.under.admin.unary(AdminServiceService.addPriceList, { priceList: PRICES });
  acme = system.under.channel((await system.under.tenantKey("acme")).text);
}, 30_000);
afterAll(() => system[Symbol.asyncDispose]());

async function events(id: string): Promise<readonly JobEvent[]> {
  const all: JobEvent[] = [];
  for await (const { event } of acme.serverStream(FineTuningServiceService.watchEvents, { id, after: 0, follow: false })) all.push(event!);
  return all;
}

async function create() {
  const trainingFile = await system.upload(acme, LINES);
  return system.create(acme, { trainingFile, hyperparameters: HYPERPARAMETERS, seed: "3" });
}

test(`killed at random steps (seed ${SEED}), a job loses at most one interval, is published once and charged once`, {
  timeout: 60_000,
}, async () => {
  const random = seededRandom(SEED);
  const job = await create();
  for (let life = 0; life < 3; life++) {
    const trainer = system.startTrainer();
    const { stepsDone } = await system.until(acme, job.id, () => true);
    const target = stepsDone + 15 + random.below(40);
    await system.until(acme, job.id, (now) => now.stepsDone >= target);
    await systemClock.after(random.below(40));
    await trainer.kill("SIGKILL");
    const killed = await system.until(acme, job.id, () => true);
    expect(killed).toMatchObject({ state: JobState.JOB_STATE_RUNNING, error: undefined });
    const record = (await system.under.store.records.get(`job/${job.id}`))!.value as JobRecord;
    expect(record.stepsDone - record.checkpointStep).toBeLessThanOrEqual(CHECKPOINT_STEPS);
  }
  await using _last = system.startTrainer();
  const ended = await system.until(acme, job.id, ({ state }) => OVER.has(state));
  expect(ended).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, stepsDone: STEPS, stepsTotal: STEPS });

  // Each step was told once, though some were made twice.
  const steps = (await events(job.id)).flatMap(({ metrics }) => metrics?.step ?? []);
  expect(steps).toEqual(Array.from({ length: STEPS }, (_, index) => index + 1));
  const { deltas } = await acme.unary(ModelServiceService.listDeltas, { tenantId: "" });
  expect(deltas.map(({ name }) => name).filter((name) => !name.includes(":ckpt-step-"))).toEqual([ended.fineTunedModel]);

  // The charge is what the file's tokens come to, and the recount agrees.
  const plannedTokens = Number(/epochs are (\d+) tokens/.exec((await events(job.id)).map(({ message }) => message).join("\n"))![1]);
  expect(ended.trainedTokens).toBe(plannedTokens);
  const usageRequest = { by: [], sinceMs: 0, untilMs: 0, tenantId: "" };
  await expect
    .poll(async () => (await acme.unary(BillingServiceService.getUsage, usageRequest)).rows)
    .toMatchObject([{ requests: 1, trainedTokens: plannedTokens, amountUsd: String((2 * plannedTokens) / 1e6) }]);
  const messages = system.under.operator.serverStream(BillingServiceService.readJournal, { book: "acme" });
  const list: PriceRecord = { version: 1, effectiveFrom: 0, ...parsePriceList(PRICES) };
  const books = await Array.fromAsync(verifyBooks(bookPartsFromMessages(messages), new Map([[1, list]])));
  expect(books.map(({ recount }) => recount.differences)).toEqual([[]]);

  // Undisturbed, the same job gives the same delta, bit for bit.
  const undisturbed = await system.until(acme, (await create()).id, ({ state }) => OVER.has(state));
  expect(undisturbed.fineTunedModel).toBe(ended.fineTunedModel);
});
