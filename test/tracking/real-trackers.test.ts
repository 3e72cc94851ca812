import { execFile, execFileSync, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { seededRandom, systemClock } from "#kernel";
import { createSinks, createTracker, type TrackingEvent } from "#trainer";
import { freePort } from "../../state/redis/testing/free-port.ts";
import { exampleRun, exampleStep, SUCCEEDED, TRAINING_TEXT } from "./example-run.ts";
import { KEY, startWandbServer } from "./wandb-server.ts";

/**
 * The trackers' own programs on what we write. They need a Python with wandb, tensorboard or mlflow: name it in
 * DELTAPLANE_TRACKING_PYTHON; each test is skipped, saying so, where its package is missing.
 */
const PYTHON = process.env["DELTAPLANE_TRACKING_PYTHON"] ?? "python3";

function lacks(module: string): string | undefined {
  try {
    execFileSync(PYTHON, ["-c", `import ${module}`], { stdio: "ignore", timeout: 60_000 });
    return undefined;
  } catch {
    return `${PYTHON} has no ${module}; set DELTAPLANE_TRACKING_PYTHON to one that has`;
  }
}

const run = promisify(execFile);

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "real-trackers-"));
});
afterEach(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));

/** 40 steps of the example run, tracked as `env` says. */
async function track(
  env: Record<string, string>,
  upTo = 40,
  outcome: "succeeded" | "paused" = "succeeded",
): Promise<readonly TrackingEvent[]> {
  const events: TrackingEvent[] = [];
  const deps = { clock: systemClock, fetch, random: seededRandom(1), report: (event: TrackingEvent) => void events.push(event) };
  const sinks = createSinks(deps, { directory, env, netrc: "", wandb: env["WANDB_MODE"] !== undefined });
  const tracker = createTracker(deps, { directory, sinks });
  tracker.start(exampleRun());
  for (let step = 1; step <= upTo; step++) tracker.step(exampleStep(step));
  const report = await tracker.finish({ ...SUCCEEDED, outcome });
  expect(new Set(Object.values(report.sinks)), JSON.stringify(events)).toEqual(new Set(["delivered"]));
  return events;
}

test("wandb sync takes an offline run folder: configuration, tags, rows, summary, exit, training file", async (context) => {
  const reason = lacks("wandb");
  if (reason) return context.skip(reason);
  await using server = await startWandbServer({ lenient: true });
  await track({ WANDB_MODE: "offline", WANDB_PROJECT: "support-bot" });
  const folder = (await readdir(join(directory, "wandb")))[0]!;
  const env = { ...process.env, WANDB_BASE_URL: server.http.url, WANDB_API_KEY: KEY, WANDB_ERROR_REPORTING: "false", HOME: directory };
  const { stdout, stderr } = await run(PYTHON, ["-m", "wandb", "sync", join(directory, "wandb", folder)], {
    env,
    cwd: directory,
    timeout: 90_000,
  });
  const told = `${stdout}${stderr}`;
  expect(server.complaints, told).toEqual([]);
  const stored = [...server.runs.values()][0]!;
  expect(stored.path).toBe("default-entity/support-bot/ftjob-abc123");
  expect(JSON.parse(stored.upsert.config)).toMatchObject({ seed: { value: 7 }, n_train: { value: 50 } });
  expect(stored.upsert.tags).toContain("openai/ftjob-abc123");
  expect(stored.history.map((line) => JSON.parse(line)._step)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  expect(JSON.parse(stored.history[9]!)).toMatchObject({ train_loss: 3 / 11, valid_loss: 0.4, learning_rate: 1e-4 });
  expect(stored.summary).toMatchObject({ fine_tuned_model: "ft:demo-base:acme::abc123", status: "succeeded" });
  expect([stored.complete, stored.exitCode]).toEqual([true, 0]);
  expect(server.artifacts.map(({ state, usedBy }) => [state, usedBy])).toEqual([["COMMITTED", ["ftjob-abc123"]]]);
  expect(server.artifacts[0]!.content.get("my data.jsonl")!.toString()).toBe(TRAINING_TEXT);
}, 120_000);

test("TensorBoard reads the event file, also one that was gone on with", async (context) => {
  const reason = lacks("tensorboard");
  if (reason) return context.skip(reason);
  await track({}, 25, "paused");
  await track({}, 40);
  const [file] = await readdir(join(directory, "tensorboard"));
  const { stdout } = await run(PYTHON, [join(import.meta.dirname, "read_events.py"), join(directory, "tensorboard", file!)], {
    timeout: 60_000,
  });
  const [version, ...rows]: [number, number, Record<string, number>][] = JSON.parse(stdout);
  expect(version![2]).toEqual({});
  expect(rows.map(([step]) => step)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  expect(rows[9]![1]).toBe(exampleStep(10).atMs / 1000);
  expect(rows[9]![2]).toMatchObject({ train_loss: Math.fround(3 / 11), valid_loss: Math.fround(0.4), trained_tokens: 1280 });
}, 120_000);

test("an MLflow server takes the run, also one that was gone on with", async (context) => {
  const reason = lacks("mlflow, flask, sqlalchemy");
  if (reason) return context.skip(reason);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const store = `sqlite:///${join(directory, "mlflow.db")}`;
  const options = ["-m", "mlflow", "server", "--port", String(port), "--workers", "1", "--backend-store-uri", store];
  const server = spawn(PYTHON, options, { cwd: directory, detached: true, stdio: "ignore" });
  try {
    for (;;) {
      const healthy = await fetch(`${url}/health`).then(
        (response) => response.ok,
        () => false,
      );
      if (healthy) break;
      await wait(250);
    }
    await track({ MLFLOW_TRACKING_URI: url }, 25, "paused");
    await track({ MLFLOW_TRACKING_URI: url }, 40);
    const ask = async (path: string, body?: object) => {
      const init = body ? { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } } : {};
      return (await (await fetch(`${url}/api/2.0/mlflow${path}`, init)).json()) as Record<string, unknown>;
    };
    const { experiment } = await ask("/experiments/get-by-name?experiment_name=deltaplane-fine-tune");
    const { runs } = await ask("/runs/search", { experiment_ids: [(experiment as Record<string, string>)["experiment_id"]] });
    const [found, ...others] = runs as {
      info: Record<string, string>;
      data: Record<"params" | "metrics", { key: string; value: string }[]>;
    }[];
    expect(others).toEqual([]);
    expect(found!.info).toMatchObject({ status: "FINISHED", run_name: "ftjob-abc123" });
    expect(found!.data.params).toContainEqual({ key: "hyperparameters.n_epochs", value: "3" });
    const { metrics } = await ask(`/metrics/get-history?run_id=${found!.info["run_id"]}&metric_key=train_loss`);
    expect((metrics as { step: number; value: number }[]).map(({ step, value }) => [step, value])).toEqual(
      Array.from({ length: 40 }, (_, index) => [index + 1, exampleStep(index + 1).trainLoss]),
    );
  } finally {
    process.kill(-server.pid!, "SIGKILL"); // Its workers too.
  }
}, 180_000);
