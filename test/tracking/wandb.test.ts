import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { createSinks, createTracker, type SyncableJob, type SyncOptions, syncRuns, type TrackingEvent, wandbSettings } from "#trainer";
import { exampleRun, exampleStep, SUCCEEDED, TRAINING_TEXT } from "./example-run.ts";
import { quietClock } from "./quiet-clock.ts";
import { recordItems, wandbRecords } from "./wandb-file.ts";
import { KEY, startWandbServer, type WandbServer } from "./wandb-server.ts";

let directory: string;
let server: WandbServer;
let env: Record<string, string>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "wandb-"));
  server = await startWandbServer();
  env = { WANDB_BASE_URL: server.http.url, WANDB_API_KEY: KEY, WANDB_PROJECT: "support-bot" };
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function tracking(quiet = quietClock(), wandb = true) {
  const events: TrackingEvent[] = [];
  const deps = { ...quiet, random: seededRandom(1), report: (event: TrackingEvent) => void events.push(event) };
  const sinks = createSinks(deps, { directory, env, netrc: "", wandb });
  return { quiet, events, sinks, tracker: createTracker(deps, { directory, sinks, finishMsMax: 36_000_000 }) };
}

test("a live run: id = job id, configuration, tags, a line per step, summary, training file as artifact", async () => {
  const { tracker, quiet, events } = tracking();
  tracker.start(exampleRun());
  for (let step = 1; step <= 20; step++) tracker.step(exampleStep(step));
  const report = await quiet.through(tracker.finish(SUCCEEDED));
  expect(report.sinks).toEqual({ results: "delivered", tensorboard: "delivered", wandb: "delivered", "wandb-files": "delivered" });
  expect(server.complaints).toEqual([]);

  const run = server.runs.get("default-entity/support-bot/ftjob-abc123")!;
  expect(run.upsert).toMatchObject({ name: "ftjob-abc123", displayName: "ftjob-abc123", jobType: "fine-tune" });
  expect(run.upsert.tags).toEqual(["openai/finetune", "openai/demo-base", "openai/ftjob-abc123", "nightly"]);
  const config = JSON.parse(run.upsert.config);
  expect(config).toMatchObject({
    seed: { value: 7 },
    result_files: { value: "file-r" },
    n_train: { value: 50 },
    _wandb: { value: { t: {} } },
  });
  expect(JSON.parse(run.history[9]!)).toEqual({
    train_loss: 3 / 11,
    train_accuracy: 1 - 1 / 11,
    valid_loss: 0.4,
    valid_mean_token_accuracy: 0.5,
    full_valid_loss: 0.35,
    learning_rate: 1e-4,
    trained_tokens: 1280,
    _step: 10,
    _runtime: 2.5,
    _timestamp: Date.UTC(2026, 10, 23, 7, 30, 5) / 1000 + 2.5,
  });
  expect(run.summary).toMatchObject({ _step: 20, fine_tuned_model: "ft:demo-base:acme::abc123", status: "succeeded" });
  expect(events).toContainEqual({
    kind: "sink_started",
    sink: "wandb",
    url: `${server.http.url}/default-entity/support-bot/runs/ftjob-abc123`,
  });

  const [artifact, ...others] = server.artifacts;
  expect(others).toEqual([]);
  expect(artifact).toMatchObject({ state: "COMMITTED", usedBy: ["ftjob-abc123"] });
  expect(artifact!.input).toMatchObject({ artifactCollectionName: "train-my_data.jsonl", artifactTypeName: "training_files" });
  expect(artifact!.input.aliases.map(({ alias }: { alias: string }) => alias)).toEqual(["latest", "file-train1"]);
  expect(JSON.parse(artifact!.input.metadata)).toEqual({ id: "file-train1", purpose: "fine-tune", items: 50 });
  expect(artifact!.content.get("my data.jsonl")!.toString()).toBe(TRAINING_TEXT);
});

test("a job that does not ask for W&B sends nothing there, whoever is logged in", () => {
  const { sinks } = tracking(quietClock(), false);
  expect(sinks.map(({ name }) => name)).toEqual(["results", "tensorboard"]);
});

test("lives while nothing is trained, and says when somebody presses stop", async () => {
  const { tracker, quiet, events } = tracking();
  server.stopped = true;
  tracker.start(exampleRun());
  await quiet.until(() => ([...server.runs.values()][0]?.heartbeats ?? 0) >= 4);
  expect(quiet.clock.monotonic()).toBeGreaterThanOrEqual(4 * 30_000);
  expect(events.filter(({ kind }) => kind === "stop_requested")).toEqual([{ kind: "stop_requested", sink: "wandb" }]);
  await quiet.through(tracker.finish({ ...SUCCEEDED, outcome: "paused" }));
  const run = [...server.runs.values()][0]!;
  expect([run.preempting, run.complete]).toEqual([true, false]);
});

test("rows of many megabytes go in requests that W&B takes", async () => {
  const { tracker, quiet } = tracking();
  const classification = Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`classification/class-${index}/f1`, 0.5]));
  tracker.start(exampleRun());
  for (let step = 1; step <= 600; step++) tracker.step({ ...exampleStep(step), classification });
  await quiet.through(tracker.finish(SUCCEEDED));
  const run = [...server.runs.values()][0]!;
  expect(run.history).toHaveLength(600);
  expect(run.history.join("").length).toBeGreaterThan(15_000_000);
  expect(server.complaints).toEqual([]);
});

test("a training file that is refused does not take the metrics with it", async () => {
  const { tracker, quiet, events } = tracking();
  const trainingFile = { ...exampleRun().trainingFile!, content: async () => new Blob([new Uint8Array(11 * 1024 * 1024)]) };
  tracker.start(exampleRun({ trainingFile }));
  tracker.step(exampleStep(1));
  const report = await quiet.through(tracker.finish(SUCCEEDED));
  expect(report.sinks["wandb"]).toBe("delivered");
  expect(events.filter(({ kind }) => kind === "sink_warned")).toEqual([
    { kind: "sink_warned", sink: "wandb-files", message: expect.stringMatching(/train-my_data.jsonl is not uploaded: W&B answered 413/) },
  ]);
});

test("a key that is wrong or missing ends the sink with a message that does not show it", async () => {
  for (const key of ["wrong-key", ""]) {
    env["WANDB_API_KEY"] = key;
    const { tracker, quiet, events } = tracking();
    tracker.start(exampleRun());
    const report = await quiet.through(tracker.finish(SUCCEEDED));
    expect(report.sinks).toMatchObject({ results: "delivered", wandb: "gave_up" });
    const messages = events.flatMap((event) => ("fault" in event ? [event.fault.message] : []));
    expect(messages.join()).toMatch(key === "" ? /set WANDB_API_KEY/ : /answered 401/);
    expect(messages.join()).not.toContain("wrong-key");
  }
});

const RESULTS = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.25,,\n2,NaN,0.5,1.5,0.75\n";

function job(id: string, changes: Partial<SyncableJob> = {}): SyncableJob {
  return {
    run: exampleRun({
      id,
      name: id,
      validationFile: { ...exampleRun().trainingFile!, id: "file-valid1", filename: "held.jsonl", examples: 9 },
    }),
    status: "succeeded",
    finishedAtMs: Date.UTC(2026, 10, 23, 8),
    fineTunedModel: `ft:demo-base:acme::${id}`,
    results: async () => RESULTS,
    ...changes,
  };
}

async function sync(jobs: readonly SyncableJob[], options: SyncOptions = {}) {
  const quiet = quietClock();
  const source = (async function* () {
    yield* jobs;
  })();
  const deps = { ...quiet, random: seededRandom(1) };
  const synced = syncRuns(deps, wandbSettings(env, ""), source, options, new AbortController().signal);
  return quiet.through(Array.fromAsync(synced));
}

test("wandb sync: succeeded jobs, a row per row of the result file, three artifacts, summary", async () => {
  const results = await sync([job("ftjob-2"), job("ftjob-x", { status: "failed" }), job("ftjob-1")], { project: "p", entity: "acme" });
  expect(results).toEqual([
    { id: "ftjob-2", result: "synced", where: `${server.http.url}/acme/p/runs/ftjob-2` },
    { id: "ftjob-x", result: "skipped", why: "its status is failed" },
    { id: "ftjob-1", result: "synced", where: `${server.http.url}/acme/p/runs/ftjob-1` },
  ]);
  expect(server.complaints).toEqual([]);
  const run = server.runs.get("acme/p/ftjob-2")!;
  expect(run.history.map((line) => JSON.parse(line))).toEqual([
    { train_loss: 2.5, train_accuracy: 0.25, _step: 1 },
    { train_accuracy: 0.5, valid_loss: 1.5, valid_mean_token_accuracy: 0.75, _step: 2 },
  ]);
  expect(run).toMatchObject({ complete: true, exitCode: 0 });
  expect(run.summary).toMatchObject({
    fine_tuned_model: "ft:demo-base:acme::ftjob-2",
    status: "succeeded",
    train_loss: 2.5,
    valid_loss: 1.5,
  });
  const names = server.artifacts.map(({ input }) => `${input.artifactTypeName}/${input.artifactCollectionName}`);
  expect(new Set(names)).toEqual(
    new Set(["training_files/train-my_data.jsonl", "validation_files/valid-held.jsonl", "fine_tune_details/fine_tune_details"]),
  );
  const details = server.artifacts.find(({ input }) => input.artifactCollectionName === "fine_tune_details")!;
  expect(JSON.parse(details.content.get("fine_tune_details.json")!.toString())).toMatchObject({ seed: 7 });
});

test("wandb sync again: skipped, but not with --force, nor what was interrupted", async () => {
  await sync([job("ftjob-1")]);
  const before = server.http.requests;
  expect(await sync([job("ftjob-1")])).toMatchObject([{ result: "skipped", why: expect.stringContaining("--force") }]);
  expect(server.http.requests).toBe(before + 1);
  expect(await sync([job("ftjob-1")], { force: true })).toMatchObject([{ result: "synced" }]);
  server.http.fate = (request) => (request.url!.endsWith("file_stream") ? "refused" : "answered");
  expect(await sync([job("ftjob-2")])).toMatchObject([{ result: "failed", fault: { reason: "tracker_unreachable" } }]);
  server.http.fate = () => "answered";
  expect(await sync([job("ftjob-2")])).toMatchObject([{ result: "synced" }]);
  expect([...server.runs.values()].map(({ history }) => history.length)).toEqual([2, 2]);
  expect(server.complaints).toEqual([]);
});

test("wandb sync -i and -n choose", async () => {
  const jobs = ["ftjob-3", "ftjob-2", "ftjob-1"].map((id) => job(id));
  expect((await sync(jobs, { id: "ftjob-2" })).map(({ id }) => id)).toEqual(["ftjob-2"]);
  expect((await sync(jobs, { count: 2, force: true })).map(({ id }) => id)).toEqual(["ftjob-3", "ftjob-2"]);
});

test("a result file that is damaged fails its job by line, and no other", async () => {
  const broken = job("ftjob-2", { results: async () => "step,train_loss\n1,2\nx,3\n" });
  const results = await sync([broken, job("ftjob-1")]);
  expect(results).toMatchObject([
    { result: "failed", fault: { reason: "file_malformed", message: expect.stringContaining("line 3") } },
    { result: "synced" },
  ]);
});

test("wandb sync --offline leaves folders with the same run in them", async () => {
  const [first] = await sync([job("ftjob-1")], { offlineDirectory: directory });
  expect(await sync([job("ftjob-1")], { offlineDirectory: directory })).toMatchObject([{ result: "skipped" }]);
  expect(await sync([job("ftjob-1")], { offlineDirectory: directory, force: true })).toEqual([first]);
  expect(server.http.requests).toBe(0);
  expect(await readdir(join(directory, "wandb"))).toEqual(["offline-run-20261123_073005-ftjob-1"]);
  const records = wandbRecords(await readFile(join(directory, "wandb/offline-run-20261123_073005-ftjob-1/run-ftjob-1.wandb")));
  const kinds = ["header", "run", "history", "history", "artifact", "artifact", "artifact", "summary", "exit"];
  expect(records.map(({ kind, num }) => [num, kind])).toEqual(kinds.map((kind, index) => [index + 1, kind]));
  expect(recordItems(records[7]!.bytes)).toMatchObject({ status: "succeeded", fine_tuned_model: "ft:demo-base:acme::ftjob-1" });
});
