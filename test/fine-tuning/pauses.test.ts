import { afterAll, beforeAll, expect, test } from "vitest";
import { FineTuningServiceService, type GrpcChannel, JobState } from "#proto";
import type { JobRecord } from "../../router/catalog/index.ts";
import { OVER, startTrainingSystem, type TrainingSystem, trainingLines } from "./training-system.ts";

const EPOCHS = 12;
const STEPS = EPOCHS * 12;

let system: TrainingSystem;
let acme: GrpcChannel;
let trainingFile: string;
beforeAll(async () => {
  system = await startTrainingSystem(); // With the usual lease: nothing here waits for one to run out.
  acme = system.under.channel((await system.under.tenantKey("acme")).text);
  trainingFile = await system.upload(acme, trainingLines(24));
}, 30_000);
afterAll(() => system[Symbol.asyncDispose]());

const create = () =>
  system.create(acme, {
    trainingFile,
    seed: "5",
    hyperparameters: { epochs: EPOCHS, batchSize: 2, rank: 2, checkpointSteps: 1_000, targets: [] },
  });
const record = async (id: string) => (await system.under.store.records.get(`job/${id}`))!.value as JobRecord;

test("paused, resumed, and its trainer stopped in between: a job loses nothing and ends as if nothing had been", {
  timeout: 60_000,
}, async () => {
  const job = await create();
  const first = system.startTrainer();
  await system.until(acme, job.id, ({ stepsDone }) => stepsDone >= 20);
  await acme.unary(FineTuningServiceService.pauseJob, { id: job.id });
  await expect.poll(async () => (await record(job.id)).lease?.until, { timeout: 10_000 }).toBe(0);
  const paused = await record(job.id);
  expect(paused).toMatchObject({ state: "paused", checkpointStep: paused.stepsDone });

  await acme.unary(FineTuningServiceService.resumeJob, { id: job.id });
  await system.until(acme, job.id, ({ stepsDone }) => stepsDone >= paused.stepsDone + 20);
  await first.kill("SIGTERM"); // It gives its job back before it goes.
  const handedBack = await record(job.id);
  expect(handedBack).toMatchObject({ state: "queued", checkpointStep: handedBack.stepsDone });

  await using second = system.startTrainer();
  await system.until(acme, job.id, ({ stepsDone }) => stepsDone >= handedBack.stepsDone + 20);
  second.killChild(); // The trainer itself lives, gives the job back and takes it again.
  const ended = await system.until(acme, job.id, ({ state }) => OVER.has(state));
  expect(ended).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, stepsDone: STEPS });
  const undisturbed = await system.until(acme, (await create()).id, ({ state }) => OVER.has(state));
  expect(undisturbed).toMatchObject({ fineTunedModel: ended.fineTunedModel, trainedTokens: ended.trainedTokens });

  // Cancelled in the middle: it ends at once, and its trainer takes the next job.
  const third = await create();
  await system.until(acme, third.id, ({ stepsDone }) => stepsDone >= 5);
  const { job: cancelled } = await acme.unary(FineTuningServiceService.cancelJob, { id: third.id });
  expect(cancelled).toMatchObject({ state: JobState.JOB_STATE_CANCELLED, fineTunedModel: "" });
  expect(cancelled!.trainedTokens).toBeGreaterThan(0);
  const fourth = await system.create(acme, {
    trainingFile,
    auto: true,
    hyperparameters: { epochs: 5, batchSize: 2, rank: 2, targets: [] },
  });
  const auto = await system.until(acme, fourth.id, ({ state }) => OVER.has(state));
  expect(auto).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, reasons: { validation: expect.stringContaining("held back") } });
});
