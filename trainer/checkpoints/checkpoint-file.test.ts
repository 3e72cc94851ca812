import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Parameter } from "#model";
import { initialState } from "../training/training-state.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint-file.ts";
import { checkpointPath, listCheckpoints, pruneCheckpoints } from "./checkpoint-folder.ts";

const PARAMETERS: readonly Parameter[] = [
  { name: "one", shape: [2, 3], start: { kind: "zero" } },
  { name: "other", shape: [4], start: { kind: "zero" } },
];
const IDENTITY = { planDigest: "ab".repeat(32), seed: 3, microbatchTokensMax: 512 };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "checkpoint-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function state(best: boolean) {
  const values = new Map([
    ["one", Float32Array.of(1, -2, 3e-40, 4, 0.1, 6)],
    ["other", Float32Array.of(7, 8, 9, -0)],
  ]);
  const made = initialState(values);
  made.step = 12;
  made.trainedTokens = 3456;
  made.validationsSinceBest = 2;
  made.learned.get("one")!.mean[1] = 0.25;
  made.learned.get("other")!.variance[3] = 1e-30;
  if (best) made.best = { step: 8, loss: 0.1 + 0.2, values };
  return made;
}

test.each([true, false])("gives back every bit that it was given, with best parameters: %s", async (best) => {
  const file = join(root, `whole-${best}.safetensors`);
  await writeCheckpoint(file, PARAMETERS, state(best), IDENTITY);
  expect(await readCheckpoint(file, PARAMETERS, IDENTITY.planDigest)).toEqual({ state: state(best), identity: IDENTITY });
});

test("is refused when it belongs to another plan, was cut off, or is something else", async () => {
  const file = join(root, "refused.safetensors");
  await writeCheckpoint(file, PARAMETERS, state(true), IDENTITY);
  const read = (parameters = PARAMETERS, digest = IDENTITY.planDigest) => readCheckpoint(file, parameters, digest);
  await expect(read(PARAMETERS, "cd".repeat(32))).rejects.toMatchObject({
    reason: "parameter_invalid",
    detail: { file: "refused.safetensors" },
  });
  await expect(read([{ ...PARAMETERS[0]!, shape: [3, 2] }, PARAMETERS[1]!])).rejects.toMatchObject({ reason: "file_malformed" });
  await expect(read(PARAMETERS.slice(0, 1))).rejects.toMatchObject({ reason: "file_malformed" });
  const content = await readFile(file);
  await writeFile(file, Buffer.from(content.toString("latin1").replace('"step":"12"', '"step":"-2"'), "latin1"));
  await expect(read()).rejects.toMatchObject({ reason: "file_malformed", message: expect.stringContaining("step") });
  await truncate(file, content.length - 1);
  await expect(read()).rejects.toMatchObject({ reason: "file_malformed" });
  await expect(readCheckpoint(join(root, "nowhere"), PARAMETERS, "")).rejects.toMatchObject({ reason: "file_missing" });
});

test("a folder keeps the two newest", async () => {
  const folder = join(root, "folder");
  expect(await listCheckpoints(folder)).toEqual([]);
  for (const step of [5, 100, 20]) await writeFile(checkpointPath(folder, step), "");
  await writeFile(join(folder, "notes.txt"), "");
  await pruneCheckpoints(folder);
  expect(await listCheckpoints(folder)).toEqual([checkpointPath(folder, 100), checkpointPath(folder, 20)]);
});
