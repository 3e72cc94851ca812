import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";

/** One command from a file to a model. */

const ROOT = join(import.meta.dirname, "../..");
const SAMPLE = join(ROOT, "models/demo-deltas/tax/train-sample.jsonl");

let cluster: RunningCluster;
let file: string;
beforeAll(async () => {
  cluster = await startCluster({ args: ["--nodes", "1"] });
  file = join(cluster.home, "examples.jsonl");
  writeFileSync(file, `${readFileSync(SAMPLE, "utf8").split("\n").slice(0, 60).join("\n")}\n`);
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

function deltaplane(...args: string[]) {
  const env = { ...process.env, DELTAPLANE_HOME: cluster.home, DELTAPLANE_KEY: cluster.tenantKeys["taxly"], NO_COLOR: "1" };
  return spawnSync(process.execPath, [join(ROOT, "cli/main.ts"), ...args], { cwd: cluster.home, env, encoding: "utf8" });
}

test("ft create follows a job to its model, which is listed, run and pulled", { timeout: 90_000 }, () => {
  const created = deltaplane("ft", "create", "-t", file, "--epochs", "2", "--suffix", "bot");
  expect(created.stderr).toMatch(/epochs +2: as asked for/);
  expect(created.stderr).toMatch(/batch_size +4: 0.2 % of 60 examples/);
  expect(created.stderr).toContain("training loss");
  expect(created.status).toBe(0);
  const model = created.stdout.trim().split("\n").at(-1)!;
  expect(model).toMatch(/^ft:demo-base:taxly:bot:[0-9a-f]{8}$/);

  const [job] = JSON.parse(deltaplane("-o", "json", "ft", "ls").stdout) as { id: string }[];
  expect(deltaplane("ft", "ls").stdout).toContain(`${job!.id}  succeeded  demo-base  30/30`);
  expect(deltaplane("ft", "results", job!.id).stdout.split("\n")[0]).toMatch(/^step,train_loss,/);
  expect(deltaplane("ft", "checkpoints", job!.id).stdout).toContain(":ckpt-step-15");
  expect(deltaplane("ft", "events", job!.id).stdout).toContain("Step 30/30");
  expect(deltaplane("ft", "cancel", job!.id)).toMatchObject({ status: 1 });
  expect(deltaplane("ft", "get", "ftjob-nothing")).toMatchObject({ status: 4 });

  const offline = join(cluster.home, "wandb-runs");
  const synced = deltaplane("wandb", "sync", "--offline", offline);
  expect(synced).toMatchObject({ status: 0, stdout: expect.stringContaining(`${job!.id}  ${offline}`) });
  expect(deltaplane("wandb", "sync", "-i", job!.id, "--offline", offline).stderr).toContain("synced before");
  const tracked = join(cluster.home, "trainer/runs", job!.id);
  expect(readFileSync(join(tracked, "results.csv"), "utf8").trim().split("\n")).toHaveLength(31);
  expect(readFileSync(join(tracked, "metrics.jsonl"), "utf8").trim().split("\n")).toHaveLength(30);

  const folder = join(cluster.home, "pulled");
  expect(deltaplane("deltas", "pull", model, folder)).toMatchObject({ status: 0, stdout: `${folder}\n` });
  expect(JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"))).toMatchObject({ peft_type: "LORA", r: 8 });
  expect(deltaplane("deltas", "pull", model, folder).stderr).toContain("resource_exists");
  rmSync(folder, { recursive: true });

  const again = deltaplane("ft", "create", "-t", file, "--epochs", "1", "--no-follow");
  expect(again.stderr).toContain("was uploaded before");
});
