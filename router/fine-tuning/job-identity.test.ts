import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { CreateJobRequest } from "#proto";
import type { JobRecord } from "../catalog/index.ts";
import { identifyJob, sameJob } from "./job-identity.ts";
import { checkWish } from "./job-wish.ts";

test("id and seed follow from tenant and key; without a key they are chance", () => {
  const one = identifyJob("acme", "k", randomBytes);
  expect(one.id).toMatch(/^ftjob-[0-9a-f]{24}$/);
  expect(identifyJob("acme", "k", randomBytes)).toEqual(one);
  for (const [tenant, key] of [
    ["rival", "k"],
    ["acme", "l"],
    ["acme", ""],
  ] as const)
    expect(identifyJob(tenant, key, randomBytes).id).not.toBe(one.id);
  expect(identifyJob("acme", "", randomBytes).id).not.toBe(identifyJob("acme", "", randomBytes).id);
  for (const key of ["é", "a\nb", "x".repeat(256)]) expect(() => identifyJob("acme", key, randomBytes)).toThrow(/printable ASCII/);
});

test("a repetition is the same job; another wish under the same key is refused", () => {
  const ask = (more: object = {}) =>
    CreateJobRequest.fromPartial({
      model: "b",
      trainingFile: "f",
      metadata: { a: "1" },
      hyperparameters: { epochs: 2, targets: [] },
      ...more,
    });
  const { seed: _, ...wish } = checkWish(ask());
  const job = { ...wish, id: "ftjob-1", seed: 5, baseName: "b", trainingFile: "f" } as unknown as JobRecord;
  for (const more of [{}, { seed: "5" }]) expect(sameJob(job, checkWish(ask(more)), ask(more))).toBe(job);
  for (const more of [
    { seed: "6" },
    { model: "c" },
    { trainingFile: "g" },
    { validationFile: "g" },
    { metadata: {} },
    { suffix: "s" },
    { auto: true },
  ])
    expect(() => sameJob(job, checkWish(ask(more)), ask(more)), JSON.stringify(more)).toThrow("used for another job");
});
