import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { createMlflowSink } from "../../trainer/tracking/mlflow/sink.ts";
import { createResultsFile } from "../../trainer/tracking/results-file.ts";
import { readRecords } from "../../trainer/tracking/tensorboard/record-framing.ts";
import { createTensorBoardSink } from "../../trainer/tracking/tensorboard/sink.ts";
import { createWandbSink } from "../../trainer/tracking/wandb/live-sinks.ts";
import { createWandbOfflineSink } from "../../trainer/tracking/wandb/offline-sink.ts";
import { wandbSettings } from "../../trainer/tracking/wandb/settings.ts";
import { wireField, wireFields } from "../../trainer/tracking/wire-fields.ts";
import { startMlflowServer } from "./mlflow-server.ts";
import { describeSink, type HeldRow } from "./sink-contract-suite.ts";
import { recordItems, wandbRecords } from "./wandb-file.ts";
import { KEY, startWandbServer } from "./wandb-server.ts";

const nothing = async () => undefined;

describeSink(
  "results.csv",
  async (directory) => {
    const file = join(directory, "results.csv");
    return {
      open: () => createResultsFile(file),
      file: async () => file,
      async held() {
        const [header, ...lines] = (await readFile(file, "utf8")).split("\n").slice(0, -1);
        const columns = header!.split(",");
        const cell = (line: string, name: string) => line.split(",")[columns.indexOf(name)];
        return lines.map((line) => heldRow(Number(cell(line, "step")), cell(line, "train_loss"), cell(line, "valid_loss") || undefined));
      },
      end: nothing,
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
  { succeeded: undefined, failed: undefined },
);

describeSink(
  "TensorBoard",
  async (directory) => {
    const folder = join(directory, "tensorboard");
    return {
      open: () => createTensorBoardSink(folder),
      file: async () => join(folder, (await readdir(folder))[0]!),
      async held() {
        const files = await readdir(folder);
        const [version, ...events] = [...readRecords(await readFile(join(folder, files[0]!)))];
        if (files.length !== 1 || Buffer.from(wireField(version!.data, 3)!).toString() !== "brain.Event:2")
          throw new Error("no event file");
        return events.map(({ data }) => {
          const step = Number(new BinaryReader(wireField(data, 2)!).int64());
          const values = new Map<string, number>();
          for (const { value } of wireFields(wireField(data, 5)!)) {
            values.set(Buffer.from(wireField(value, 1)!).toString(), Buffer.from(wireField(value, 2)!).readFloatLE());
          }
          return heldRow(step, inDoubles(values.get("train_loss")), inDoubles(values.get("valid_loss")));
        });
      },
      end: nothing,
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
  { succeeded: undefined, failed: undefined },
);

describeSink(
  "W&B offline",
  async (directory) => {
    const file = async () => {
      const [folder, ...others] = await readdir(join(directory, "wandb"));
      if (!/^offline-run-20261123_073005-ftjob-abc123$/.test(folder!) || others.length > 0) throw new Error("not one run folder");
      return join(directory, "wandb", folder!, "run-ftjob-abc123.wandb");
    };
    const records = async () => wandbRecords(await readFile(await file()));
    return {
      file,
      open: (_, report) => createWandbOfflineSink({ report }, wandbSettings({ WANDB_MODE: "offline" }, ""), directory),
      async held() {
        const rows = (await records()).filter(({ kind }) => kind === "history").map(({ bytes }) => recordItems(bytes));
        return rows.map((row) => heldRow(Number(row["_step"]), row["train_loss"], row["valid_loss"]));
      },
      async end() {
        const exit = (await records()).findLast(({ kind }) => kind === "exit");
        return exit && `exit ${wireField(exit.bytes, 1)![0]}`;
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
  { succeeded: "exit 0", failed: "exit 1" },
);

describeSink(
  "W&B",
  async () => {
    const server = await startWandbServer();
    const settings = wandbSettings({ WANDB_BASE_URL: server.http.url, WANDB_API_KEY: KEY, WANDB_ENTITY: "acme" }, "");
    const run = () => [...server.runs.values()][0]!;
    return {
      server: server.http,
      open: ({ clock, fetch }, report) => createWandbSink({ clock, fetch, report }, settings),
      async held() {
        if (server.complaints.length > 0) throw new Error(server.complaints.join("\n"));
        const rows = run().history.map((line) => JSON.parse(line));
        return rows.map((row) => heldRow(row["_step"], row["train_loss"], row["valid_loss"]));
      },
      end: async () => (run().complete ? `exit ${run().exitCode}` : undefined),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  { succeeded: "exit 0", failed: "exit 1" },
);

describeSink(
  "MLflow",
  async () => {
    const server = await startMlflowServer();
    const settings = { baseUrl: server.http.url, experiment: "tests", headers: { authorization: "Bearer secret" } };
    return {
      server: server.http,
      open: ({ clock, fetch }) => createMlflowSink({ clock, fetch }, settings),
      async held() {
        if (server.runs.length !== 1) throw new Error(`${server.runs.length} runs`);
        const byStep = Map.groupBy(server.runs[0]!.metrics, ({ step }) => step as number);
        return [...byStep].map(([step, metrics]) => {
          const values = (name: string) => {
            const found = metrics.filter(({ key }) => key === name).map(({ value, timestamp }) => `${value} at ${timestamp}`);
            if (found.length > 1) throw new Error(`${name} of step ${step} is there ${found.length} times`);
            return found[0]?.split(" at ")[0];
          };
          return heldRow(step, values("train_loss"), values("valid_loss"));
        });
      },
      end: async () => server.runs[0]?.status,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  { succeeded: "FINISHED", failed: "FAILED" },
);

function heldRow(step: number, trainLoss: unknown, validLoss: unknown): HeldRow {
  return { step, trainLoss: Number(trainLoss), validLoss: validLoss === undefined ? undefined : Number(validLoss) };
}

/** The double that was rounded to this float: our examples have few digits. */
function inDoubles(float: number | undefined): number | undefined {
  if (float === undefined || !Number.isFinite(float)) return float;
  for (const numerator of [3, 4]) {
    const denominator = Math.round(numerator / float);
    if (Math.fround(numerator / denominator) === float) return numerator / denominator;
  }
  return float;
}
