import { appendFile, mkdir, readdir, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { type Bytes, type Millis, SECOND } from "#kernel";
import type { Sink } from "../contract.ts";
import { eventStep, stepEvent, versionEvent } from "./event.ts";
import { frameRecord, readRecords } from "./record-framing.ts";

/** TensorBoard itself looks every 5 s. */
const PAUSE_MS: Millis = 5 * SECOND;

/** Event files for `tensorboard --logdir`: one file for the whole life of a run, in a folder of its own. */
export function createTensorBoardSink(directory: string): Sink {
  let file: string;
  return {
    name: "tensorboard",
    pauseMs: PAUSE_MS,
    async start(run) {
      await mkdir(directory, { recursive: true });
      const existing = (await readdir(directory)).find((name) => name.startsWith("events.out.tfevents."));
      file = join(directory, existing ?? `events.out.tfevents.${Math.floor(run.startedAtMs / 1000)}.deltaplane`);
      const held = await cutToWholeRecords(file);
      if (held.sizeBytes === 0) await appendFile(file, frameRecord(versionEvent(run.startedAtMs)));
      return { heldStep: held.step };
    },
    async write(rows) {
      await appendFile(file, Buffer.concat(rows.map((row) => frameRecord(stepEvent(row)))));
    },
    async finish() {}, // The format has no end.
  };
}

async function cutToWholeRecords(file: string): Promise<{ readonly step: number; readonly sizeBytes: Bytes }> {
  await appendFile(file, "");
  const bytes = await readFile(file);
  let held = { step: 0, sizeBytes: 0 };
  for (const { data, end } of readRecords(bytes)) held = { step: eventStep(data), sizeBytes: end };
  if (held.sizeBytes < bytes.length) await truncate(file, held.sizeBytes);
  return held;
}
