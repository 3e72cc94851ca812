import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "#kernel";
import {
  AdminServiceService,
  BillingServiceService,
  BudgetPeriod,
  CreateJobRequest,
  FineTuningServiceService,
  type GrpcChannel,
  type Job,
  JobCommand,
  JobState,
  JobWork,
  type LeaseJobResponse,
  type PublishDeltaRequest,
  ReportJobRequest,
  TrainingServiceService,
  type UploadFileRequest,
} from "#proto";
import { BASE_NAME } from "../testing/cluster-of.ts";
import { CLUSTER_KEY, type RouterUnderTest, runRouter } from "../testing/running-router.ts";
import { type ScriptedNode, scriptedNode } from "../testing/scripted-node.ts";
import { JOB_LIMITS } from "./index.ts";

/** The trainers of this test are its own words over the wire. */

const LEASE_MS = 400;
const PLANNED = 1_000;
const CHOSEN = { epochs: 1, batchSize: 1, learningRateMultiplier: 1, rank: 2, alpha: 4, targets: [], checkpointSteps: 5 };

let under: RouterUnderTest;
let node: ScriptedNode;
let trainers: GrpcChannel;
let acme: GrpcChannel;
beforeEach(async () => {
  node = scriptedNode();
  under = await runRouter({ a: node }, { jobLimits: { ...JOB_LIMITS, leaseMs: LEASE_MS, unfinishedJobsMax: 3 } });
  trainers = under.channel(CLUSTER_KEY);
  acme = under.channel((await under.tenantKey("acme")).text);
  const defaultPrices = { prompt: "1", cachedPrompt: "1", completion: "1", training: "1000" };
  const priceList = { version: 0, plan: "standard", effectiveFromMs: 0, defaultPrices, bases: {}, gpuHourUsd: "0" };
  await under.admin.unary(AdminServiceService.addPriceList, { priceList });
});
afterEach(() => under[Symbol.asyncDispose]());

async function upload(tenant: GrpcChannel): Promise<string> {
  const parts = async function* (): AsyncGenerator<UploadFileRequest> {
    yield { part: { $case: "header", value: { filename: "t.jsonl", purpose: "fine-tune", expiresAtMs: 0, tenantId: "" } } };
    yield { part: { $case: "bytes", value: Buffer.from('{"prompt":"a","completion":" b"}\n') } };
  };
  return (await tenant.clientStream(FineTuningServiceService.uploadFile, parts())).file!.id;
}

async function create(tenant = acme): Promise<string> {
  const request = CreateJobRequest.fromPartial({ model: BASE_NAME, trainingFile: await upload(tenant) });
  return (await tenant.unary(FineTuningServiceService.createJob, request)).job!.id;
}

const get = async (id: string, tenant = acme): Promise<Job> => (await tenant.unary(FineTuningServiceService.getJob, { id })).job!;
const lease = (trainerId: string, work: JobWork = JobWork.JOB_WORK_TRAIN): Promise<LeaseJobResponse> =>
  trainers.unary(TrainingServiceService.leaseJob, { trainerId, work, bases: [] });

async function report(trainerId: string, held: LeaseJobResponse, sequence: number, more: Partial<ReportJobRequest> = {}) {
  const request = { jobId: held.job!.id, trainerId, epoch: held.epoch, sequence, ...more };
  return (await trainers.unary(TrainingServiceService.reportJob, ReportJobRequest.fromPartial(request as never))).command;
}

async function validate(trainerId = "checker") {
  const held = await lease(trainerId, JobWork.JOB_WORK_VALIDATE);
  await report(trainerId, held, 1, { chosen: CHOSEN as never, plannedTokens: PLANNED, stepsTotal: 10, end: JobState.JOB_STATE_QUEUED });
  return held;
}

const step = (number: number) => ({
  ...{ stepsDone: number, stepsTotal: 10, trainedTokens: 100 * number },
  events: [{ message: `Step ${number}`, metrics: { step: number, trainLoss: 1 / number, trainedTokens: 100 * number } }] as never,
});

async function publish(held: LeaseJobResponse, content = "weights") {
  const parts = async function* (): AsyncGenerator<PublishDeltaRequest> {
    const { epoch, job } = held;
    yield { part: { $case: "header", value: { lease: { jobId: job!.id, epoch, step: 0, sizeBytes: 0 }, step: 0, metrics: undefined } } };
    yield { part: { $case: "config", value: Buffer.from("{}") } };
    yield { part: { $case: "weights", value: Buffer.from(content) } };
  };
  return (await trainers.clientStream(TrainingServiceService.publishDelta, parts())).model;
}

async function trained(): Promise<number> {
  const { rows } = await acme.unary(BillingServiceService.getUsage, { by: [], sinceMs: 0, untilMs: 0, tenantId: "" });
  return rows[0]?.trainedTokens ?? 0;
}

async function messages(id: string): Promise<readonly string[]> {
  const events = acme.serverStream(FineTuningServiceService.watchEvents, { id, after: 0, follow: false });
  return (await Array.fromAsync(events)).map(({ event }) => event!.message);
}

test("a creation that is repeated with its key is one job, of its tenant alone", async () => {
  const request = { model: BASE_NAME, trainingFile: await upload(acme), idempotencyKey: "k" };
  const ask = async (more: object = {}) =>
    (await acme.unary(FineTuningServiceService.createJob, CreateJobRequest.fromPartial({ ...request, ...more }))).job!;
  const [one, other] = await Promise.all([ask(), ask()]);
  expect(other).toEqual(one);
  expect((await acme.unary(FineTuningServiceService.listJobs, { after: "", limit: 10, metadata: {} })).jobs).toHaveLength(1);
  await expect(ask({ suffix: "other" })).rejects.toMatchObject({ reason: "idempotency_key_reused" });
});

test("who follows a job does not hold up a router that stops, and is told to go on elsewhere", async () => {
  const id = await create();
  const events = acme.serverStream(FineTuningServiceService.watchEvents, { id, after: 0, follow: true })[Symbol.asyncIterator]();
  expect((await events.next()).value?.event).toMatchObject({ position: 1 });
  const ended = (async () => {
    while (!(await events.next()).done);
  })();
  const refused = expect(ended).rejects.toMatchObject({ reason: "shutting_down", code: "unavailable" });
  await under.router.drain(); // Streams have 20 s, and the test has less.
  await refused;
});

test("a job goes from its file to a warm model, and is charged once", async () => {
  const id = await create();
  await validate();
  const held = await lease("one");
  expect(held).toMatchObject({ job: { id, state: JobState.JOB_STATE_RUNNING }, checkpoint: false, published: "" });
  await report("one", held, 1, step(1));
  await report("one", held, 1, step(1)); // Its answer was lost.
  await report("one", held, 2, step(2));
  const model = await publish(held);
  expect(node.attached, "it is resident before anybody is told of it").toHaveLength(1);
  await report("one", held, 3, { ...step(10), end: JobState.JOB_STATE_SUCCEEDED });
  expect(await get(id)).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, fineTunedModel: model, trainedTokens: 1_000 });
  expect((await messages(id)).filter((message) => message === "Step 1")).toHaveLength(1);
  await expect.poll(trained).toBe(1_000);
});

test("of two trainers one gets the job; when that is silent, the other goes on, and the first is told", async () => {
  const id = await create();
  await validate();
  const [one, two] = await Promise.all([lease("one"), lease("two")]);
  // Whoever asked second waited until the first one's lease had run out.
  const [lost, next, names] = one.epoch < two.epoch ? [one, two, ["one", "two"]] : [two, one, ["two", "one"]];
  expect(next.job?.id).toBe(id);
  await expect(report(names[0]!, lost, 1, step(3))).rejects.toMatchObject({ reason: "lease_lost" });
  await expect(publish(lost)).rejects.toMatchObject({ reason: "lease_lost" });
  expect(await report(names[1]!, next, 1, step(1))).toBe(JobCommand.JOB_COMMAND_GO_ON);
  expect((await get(id)).trainedTokens).toBe(100);
});

test("what was published before its trainer died is not trained again", async () => {
  await create();
  await validate();
  const first = await lease("one");
  await report("one", first, 1, step(10));
  const model = await publish(first);
  const second = await lease("two");
  expect(second.published).toBe(model);
  await report("two", second, 1, { end: JobState.JOB_STATE_SUCCEEDED });
  await expect.poll(trained).toBe(1_000);
});

describe("a customer", () => {
  test("cancels: at once, charged for what was told, and a second time it is refused", async () => {
    const id = await create();
    await validate();
    const held = await lease("one");
    await report("one", held, 1, step(4));
    const { job } = await acme.unary(FineTuningServiceService.cancelJob, { id });
    expect(job).toMatchObject({ state: JobState.JOB_STATE_CANCELLED, trainedTokens: 400, fineTunedModel: "" });
    expect(await report("one", held, 2, step(5))).toBe(JobCommand.JOB_COMMAND_CANCEL);
    await expect(acme.unary(FineTuningServiceService.cancelJob, { id })).rejects.toMatchObject({ reason: "job_not_running" });
    await expect.poll(trained).toBe(400);
    expect(job!.resultFiles).toHaveLength(1);
  });

  test("pauses and resumes: another job may train meanwhile, and it goes on from what was saved", async () => {
    const id = await create();
    await validate();
    const held = await lease("one");
    await report("one", held, 1, step(5));
    const saved = { jobId: id, epoch: held.epoch, step: 5, sizeBytes: 5 };
    const parts = async function* (size: number) {
      yield { part: { $case: "lease" as const, value: saved } };
      yield { part: { $case: "piece" as const, value: Buffer.alloc(size, "s") } };
    };
    await expect(trainers.clientStream(TrainingServiceService.saveCheckpoint, parts(4))).rejects.toMatchObject({
      reason: "message_malformed",
    });
    await trainers.clientStream(TrainingServiceService.saveCheckpoint, parts(5));
    await acme.unary(FineTuningServiceService.pauseJob, { id });
    expect(await report("one", held, 2, step(6))).toBe(JobCommand.JOB_COMMAND_PAUSE);
    await report("one", held, 3, { end: JobState.JOB_STATE_PAUSED });
    expect(await get(id)).toMatchObject({ state: JobState.JOB_STATE_PAUSED });

    const other = await create();
    await validate();
    const otherHeld = await lease("one");
    expect(otherHeld.job!.id).toBe(other);
    await acme.unary(FineTuningServiceService.cancelJob, { id: other });

    await acme.unary(FineTuningServiceService.resumeJob, { id });
    const again = await lease("two");
    expect(again).toMatchObject({ job: { id, stepsDone: 6 }, checkpoint: true });
    const request = { lease: { jobId: id, epoch: again.epoch, step: 0, sizeBytes: 0 } };
    const loaded = await Array.fromAsync(trainers.serverStream(TrainingServiceService.loadCheckpoint, request));
    expect(Buffer.concat(loaded.map(({ piece }) => piece)).toString()).toBe("sssss");
  });

  test("has so many jobs that are not over, and no more", async () => {
    for (let count = 0; count < 3; count++) await create();
    await expect(create()).rejects.toMatchObject({ reason: "rate_exceeded", retry: { kind: "never" } });
  });

  test("cannot take a file away from a job that needs it", async () => {
    const id = await create();
    const { trainingFile } = await get(id);
    await expect(acme.unary(FineTuningServiceService.deleteFile, { id: trainingFile })).rejects.toMatchObject({
      reason: "resource_in_use",
    });
    await acme.unary(FineTuningServiceService.cancelJob, { id });
    await acme.unary(FineTuningServiceService.deleteFile, { id: trainingFile });
  });
});

describe("a budget", () => {
  const budget = (usd: string) =>
    under.admin.unary(AdminServiceService.updateTenant, {
      ...{ id: "acme", limits: undefined, removeBudget: false, pricePlan: "" },
      budget: { usd, period: BudgetPeriod.BUDGET_PERIOD_EVER },
    });

  test("that cannot cover a job refuses it when it is made", async () => {
    await budget("0.001");
    await expect(create()).rejects.toMatchObject({ reason: "budget_spent" });
  });

  test("that turns out to be too small ends the job before it trains; one that is free again pays for the next", async () => {
    await budget("0.99");
    const id = await create();
    await validate(); // 1,000 tokens at a thousandth of a dollar each.
    expect(await get(id)).toMatchObject({ state: JobState.JOB_STATE_FAILED, error: { code: "budget_spent" } });
    await budget("1.00");
    // What the failed job had set aside is free when the ledger has heard of its end.
    await expect.poll(async () => (await under.admin.unary(AdminServiceService.getTenant, { id: "acme" })).heldUsd).toBe("0.00");
    const next = await create();
    await validate();
    await expect.poll(async () => (await get(next)).state).toBe(JobState.JOB_STATE_QUEUED);
    await expect(create()).rejects.toMatchObject({ reason: "budget_spent" });
  });
});

test("a failed job costs nothing, and says which line was wrong", async () => {
  const id = await create();
  const held = await lease("checker", JobWork.JOB_WORK_VALIDATE);
  const error = { code: "file_malformed", message: "the training file: line 2 has no completion", field: "training_file" };
  await report("checker", held, 1, { end: JobState.JOB_STATE_FAILED, error });
  expect(await get(id)).toMatchObject({ state: JobState.JOB_STATE_FAILED, error, trainedTokens: 0 });
  await systemClock.after(300);
  expect(await trained()).toBe(0);
});

test("a finished job's place goes to the tenant that waited longest", async () => {
  const zeta = under.channel((await under.tenantKey("zeta")).text);
  const mine = [await create(), await create()];
  const theirs = await create(zeta);
  for (let count = 0; count < 3; count++) await validate();
  const first = await lease("one");
  expect(first.job!.id).toBe(mine[0]);
  const second = await lease("two");
  expect(second.job!.id, "one job of a tenant at a time").toBe(theirs);
});
