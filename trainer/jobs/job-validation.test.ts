import { beforeAll, expect, test } from "vitest";
import { Job } from "#proto";
import type { TrainingBase } from "../data/index.ts";
import { openDemoBase } from "../data/testing/demo-base.ts";
import { validateJob } from "./job-validation.ts";

let base: Awaited<ReturnType<typeof openDemoBase>> & TrainingBase;
beforeAll(async () => {
  base = await openDemoBase();
});

const reasonsOf = async (records: number, fields: Partial<Job>) => {
  const line = (index: number) => `${JSON.stringify({ prompt: `Number ${index} ->`, completion: ` it is ${index}\n` })}\n`;
  const bytes = Buffer.from(Array.from({ length: records }, (_, index) => line(index)).join(""));
  const job = Job.fromPartial({ trainingFile: "file-1", ...fields } as Parameters<typeof Job.fromPartial>[0]);
  return (
    await validateJob(job, base, async function* () {
      yield bytes;
    })
  ).reasons;
};

test("a job that looks for its own end holds examples back, and says so where there are too few", async () => {
  const enough = await reasonsOf(20, { auto: true });
  expect([enough["validation"], enough["auto"]]).toEqual([expect.stringContaining("every tenth"), undefined]);
  const few = await reasonsOf(19, { auto: true });
  expect([few["validation"], few["auto"]]).toEqual([undefined, expect.stringContaining("the file has 19 records, and fewer than 20")]);
  for (const reasons of [await reasonsOf(19, {}), await reasonsOf(19, { auto: true, validationFile: "file-2" })])
    expect([reasons["validation"], reasons["auto"]]).toEqual([undefined, undefined]);
});
