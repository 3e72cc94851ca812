import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";

/** Is it worth labelling more? */

const ROOT = join(import.meta.dirname, "../..");
const SAMPLE = join(ROOT, "models/demo-deltas/tax/train-sample.jsonl");

let cluster: RunningCluster;
beforeAll(async () => {
  cluster = await startCluster({ args: ["--nodes", "1"] });
  writeFileSync(join(cluster.home, "examples.jsonl"), `${readFileSync(SAMPLE, "utf8").split("\n").slice(0, 30).join("\n")}\n`);
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

function sweep(...args: string[]) {
  const env = { ...process.env, DELTAPLANE_HOME: cluster.home, DELTAPLANE_KEY: cluster.tenantKeys["taxly"], NO_COLOR: "1" };
  const given = ["ft", "sweep", "-t", "examples.jsonl", "--sizes", "8,16", "--epochs", "1", "--rank", "4", ...args];
  return spawnSync(process.execPath, [join(ROOT, "cli/main.ts"), ...given], { cwd: cluster.home, env, encoding: "utf8" });
}

test("ft sweep trains on parts of a file, compares, and trains nothing twice", { timeout: 90_000 }, () => {
  const first = sweep("--out", "swept", "-o", "json");
  expect(first.stderr).toContain("2 jobs, about");
  expect(first.status).toBe(0);
  const result = JSON.parse(first.stdout);
  expect(result).toMatchObject({
    heldOutRecords: 6,
    best: "demo-base, epochs 1, rank 4",
    advice: expect.stringContaining("Only 6 records"),
  });
  const row = { base: "demo-base", epochs: 1, rank: 4, loss: expect.any(Number), tokenAccuracy: expect.any(Number), state: "succeeded" };
  expect(result.rows).toMatchObject([
    { ...row, examples: 8, exactMatch: expect.any(Number), model: expect.stringContaining(":sweep-8:") },
    { ...row, examples: 16, exactMatch: expect.any(Number), model: expect.stringContaining(":sweep-16:") },
  ]);
  expect(result.rows[1].trainedTokens).toBeGreaterThan(result.rows[0].trainedTokens);
  expect(JSON.parse(readFileSync(join(cluster.home, "swept/results.json"), "utf8"))).toEqual(result);
  expect(readFileSync(join(cluster.home, "swept/loss.svg"), "utf8")).toContain("demo-base, epochs 1, rank 4");

  const again = sweep("--out", "swept", "--no-exact-match");
  expect(again.stderr).toContain("2 of 2 jobs are there already");
  expect(again.stdout).toMatch(/^EXAMPLES +BASE .*\n +8 +demo-base/);
  for (const { model } of result.rows) expect(again.stdout).toContain(model);

  expect(sweep("--sizes", "25")).toMatchObject({ status: 2, stderr: expect.stringContaining("there are 24 records to train on") });
  const many = sweep("--lr-mult", "1,2,3,4,5,6,7");
  expect(many.stderr).toContain("14 jobs, about");
  expect(many).toMatchObject({ status: 2, stderr: expect.stringContaining("only with -y") });
});
