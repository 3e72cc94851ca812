import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { seededRandom, VirtualClock } from "#kernel";
import type { MetricRow, RunEnd, Sink, TrackedRun, TrackingEvent } from "./contract.ts";
import { createResultsFile } from "./results-file.ts";
import { createTracker, LOG_FILE } from "./tracker.ts";

const RUN: TrackedRun = { id: "ftjob-1", name: "n", tags: [], baseModel: "b", startedAtMs: 0, config: {} };
const END: RunEnd = { outcome: "succeeded", atMs: 0, summary: {} };
const step = (number: number) => ({ step: number, atMs: number, elapsedS: number, trainLoss: 1 / number, trainedTokens: number });

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tracker-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** Virtual hours: a slow disk is no lateness. */
const PATIENT_MS = 36_000_000;

function tracker(sinks: readonly Sink[], folder = directory, finishMsMax = PATIENT_MS) {
  const events: TrackingEvent[] = [];
  const clock = new VirtualClock();
  const deps = { clock, random: seededRandom(1), report: (event: TrackingEvent) => void events.push(event) };
  return { tracker: createTracker(deps, { directory: folder, sinks, finishMsMax }), events, clock };
}

function memorySink(name = "memory", fail: () => void = () => {}): Sink & { readonly rows: MetricRow[] } {
  const rows: MetricRow[] = [];
  return {
    name,
    rows,
    pauseMs: 0,
    start: async () => ({ heldStep: rows.at(-1)?.step ?? 0 }),
    async write(more) {
      fail();
      rows.push(...more);
    },
    async finish() {},
  };
}

/** Time passes until the promise is settled. */
async function through<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  promise
    .finally(() => {
      settled = true;
    })
    .catch(() => undefined); // The caller sees it.
  for (; !settled; await wait(1)) await clock.advance(100);
  return promise;
}

test("the log holds each step once, as JSON lines", async () => {
  const { tracker: tracked, clock } = tracker([]);
  tracked.start(RUN);
  for (const number of [1, 2, 3, 2, 3, 4]) tracked.step(step(number));
  await through(clock, tracked.finish(END));
  const lines = (await readFile(join(directory, LOG_FILE), "utf8")).split("\n").slice(0, -1);
  expect(lines.map((line) => JSON.parse(line).step)).toEqual([1, 2, 3, 4]);
  expect(JSON.parse(lines[1]!)).toEqual({ step: 2, at_ms: 2, elapsed_s: 2, metrics: { train_loss: 0.5, trained_tokens: 2 } });
});

test("a line that a crash tore, and the zeros of a power cut, are cut off", async () => {
  for (const tail of ['{"step":3,"at_', "\0\0\0\0", '{"step":3}\n'.slice(0, -2)]) {
    await rm(directory, { recursive: true });
    const first = tracker([]);
    first.tracker.start(RUN);
    for (const number of [1, 2]) first.tracker.step(step(number));
    await through(first.clock, first.tracker.finish(END));
    await appendFile(join(directory, LOG_FILE), tail);
    const sink = memorySink();
    const second = tracker([sink]);
    second.tracker.start(RUN);
    for (const number of [2, 3]) second.tracker.step(step(number));
    await through(second.clock, second.tracker.finish(END));
    expect(sink.rows.map((row) => row.step)).toEqual([1, 2, 3]);
  }
});

test("a disk that refuses is tried again; steps wait in memory", async () => {
  const folder = join(directory, "job");
  await writeFile(folder, "a file where the folder should be");
  const sink = memorySink();
  const { tracker: tracked, clock, events } = tracker([sink], folder);
  tracked.start(RUN);
  for (let number = 1; number <= 5; number++) tracked.step(step(number));
  for (; !events.some((event) => event.kind === "sink_failed"); await wait(1)) await clock.advance(100);
  await rm(folder);
  await mkdir(folder);
  const report = await through(clock, tracked.finish(END));
  expect(report).toEqual({ sinks: { memory: "delivered" }, stepsDropped: 0 });
  expect(sink.rows.map((row) => row.step)).toEqual([1, 2, 3, 4, 5]);
});

test("memory is bounded: beyond it steps are dropped, counted and told", async () => {
  const folder = join(directory, "job");
  await writeFile(folder, "a file where the folder should be");
  const { tracker: tracked, clock, events } = tracker([], folder, 10_000);
  tracked.start(RUN);
  for (let number = 1; number <= 10_005; number++) tracked.step(step(number));
  expect(events.filter((event) => event.kind === "steps_dropped")).toHaveLength(5);
  expect((await through(clock, tracked.finish(END))).stepsDropped).toBe(10_005);
});

test("one sink's trouble is not another's, and a defect of a sink ends that sink only", async () => {
  const healthy = memorySink("healthy");
  const broken = memorySink("broken", () => {
    throw new TypeError("cannot read properties of undefined");
  });
  const { tracker: tracked, clock, events } = tracker([broken, healthy]);
  tracked.start(RUN);
  tracked.step(step(1));
  const report = await through(clock, tracked.finish(END));
  expect(report.sinks).toEqual({ broken: "gave_up", healthy: "delivered" });
  expect(healthy.rows).toHaveLength(1);
  expect(events.filter((event) => event.kind === "sink_gave_up")).toHaveLength(1);
});

test("results.csv has OpenAI's columns, and full validation from when it is measured on", async () => {
  const file = join(directory, "results.csv");
  const { tracker: tracked, clock } = tracker([createResultsFile(file)]);
  tracked.start(RUN);
  tracked.step({ ...step(1), trainMeanTokenAccuracy: 0.25, learningRate: 1 });
  tracked.step({ ...step(2), validLoss: 3, validMeanTokenAccuracy: 0.5 });
  for (; !(await readFile(file, "utf8").catch(() => "")).includes("\n2,"); await wait(1)) await clock.advance(100);
  tracked.step({ ...step(4), fullValidLoss: 2, classification: { "classification/accuracy": 0.75 } });
  await through(clock, tracked.finish(END));
  expect(await readFile(file, "utf8")).toBe(
    [
      "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy,full_valid_loss,classification/accuracy",
      "1,1,0.25,,,,",
      "2,0.5,,3,0.5,,",
      "4,0.25,,,,2,0.75",
      "",
    ].join("\n"),
  );
});
