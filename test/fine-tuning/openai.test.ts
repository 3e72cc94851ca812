import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "#kernel";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";

/** The whole way of a customer, with OpenAI's own client: file → job → events → model → completion. */

const DEMO = join(import.meta.dirname, "../../models/demo-deltas/tax");
const OVER = ["succeeded", "failed", "cancelled"];

let cluster: RunningCluster;
let client: OpenAI;
let rival: OpenAI;
beforeAll(async () => {
  cluster = await startCluster({ args: ["--nodes", "1"] });
  const clientOf = (tenant: string) => new OpenAI({ baseURL: `${cluster.http}/v1`, apiKey: cluster.tenantKeys[tenant]!, maxRetries: 0 });
  [client, rival] = [clientOf("shopkit"), clientOf("lingua")];
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

async function ended(id: string) {
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (OVER.includes(job.status)) return job;
    await systemClock.after(200);
  }
}

test("from a file to a model that is called at once, and paid for", { timeout: 120_000 }, async () => {
  const file = await client.files.create({ file: createReadStream(join(DEMO, "train-sample.jsonl")), purpose: "fine-tune" });
  const created = await client.fineTuning.jobs.create({
    ...{ model: "demo-base", training_file: file.id, suffix: "tax", seed: 7, metadata: { team: "ledger" } },
    method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2, batch_size: "auto" } } },
  });
  expect(created).toMatchObject({
    ...{ object: "fine_tuning.job", status: "validating_files", model: "demo-base", organization_id: "shopkit", seed: 7 },
    ...{ fine_tuned_model: null, trained_tokens: null, finished_at: null, error: null, result_files: [], training_file: file.id },
    hyperparameters: { n_epochs: 2, batch_size: "auto", learning_rate_multiplier: "auto" },
  });
  await expect(client.files.delete(file.id)).rejects.toMatchObject({ status: 409 });

  const job = await ended(created.id);
  expect(job.error).toBeNull();
  expect(job).toMatchObject({ status: "succeeded", hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate_multiplier: 1 } });
  expect(job.fine_tuned_model).toMatch(/^ft:demo-base:shopkit:tax:[0-9a-f]{8}$/);
  expect(job.trained_tokens).toBeGreaterThan(1_000);

  const started = performance.now();
  const prompt = "2025-09-22 PAPETERIA 4771 FRANKFURT 63.59 EUR";
  const completion = await client.completions.create({ model: job.fine_tuned_model!, prompt, max_tokens: 16, temperature: 0 });
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(completion.choices[0]!.text).toMatch(/^[a-z]+\.[a-z.]+/);
  const { data: models } = await client.models.list();
  expect(models.map(({ id }) => id)).toContain(job.fine_tuned_model);

  const events = await Array.fromAsync(client.fineTuning.jobs.listEvents(job.id, { limit: 100 }));
  const messages = events.map(({ message }) => message).toReversed();
  expect(messages[0]).toBe(`Created fine-tuning job: ${job.id}`);
  expect(messages.at(-1)).toBe(`New fine-tuned model created: ${job.fine_tuned_model}`);
  const metrics = events.filter(({ type }) => type === "metrics").map(({ data }) => (data as { step: number }).step);
  expect(metrics.toReversed()).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));

  const { data: checkpoints } = await client.fineTuning.jobs.checkpoints.list(job.id);
  expect(checkpoints.map(({ step_number: step }) => step)).toEqual([50]);
  const checkpoint = await client.completions.create({ model: checkpoints[0]!.fine_tuned_model_checkpoint, prompt, max_tokens: 4 });
  expect(checkpoint.usage?.completion_tokens).toBeGreaterThan(0);

  const results = await (await client.files.content(job.result_files[0]!)).text();
  expect(results.split("\n")[0]).toBe("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy");
  expect(results.trim().split("\n")).toHaveLength(101);
  expect(cluster.cli("usage", "--by", "model", "--tenant", "shopkit")).toMatch(
    new RegExp(`${job.fine_tuned_model} +2 .* ${job.trained_tokens} `),
  );
  expect(cluster.cli("billing", "verify")).toMatch(/shopkit/);

  await expect(rival.fineTuning.jobs.retrieve(job.id)).rejects.toMatchObject({ status: 404 });
  await expect(rival.fineTuning.jobs.create({ model: "demo-base", training_file: file.id })).rejects.toMatchObject({ status: 404 });
  await expect(client.fineTuning.jobs.cancel(job.id)).rejects.toMatchObject({ status: 409, code: "job_not_running" });
  expect((await Array.fromAsync(client.fineTuning.jobs.list({ metadata: { team: "ledger" } }))).map(({ id }) => id)).toEqual([job.id]);
});

test("a file with bad lines is a failed job that names them", { timeout: 30_000 }, async () => {
  const good = readFileSync(join(DEMO, "train-sample.jsonl"), "utf8").split("\n").slice(0, 3);
  const bad = [...good, "{not json", '{"prompt":"x"}', '{"prompt":"x","completion":""}'].join("\n");
  const file = await client.files.create({ file: await toFile(Buffer.from(bad), "bad.jsonl"), purpose: "fine-tune" });
  const job = await ended((await client.fineTuning.jobs.create({ model: "demo-base", training_file: file.id })).id);
  expect(job).toMatchObject({ status: "failed", error: { code: "file_malformed", param: "training_file" } });
  expect(job.error!.message).toMatch(/line 4 .*line 5 .*line 6 /);
  expect(job.trained_tokens).toBe(0);
});

test.each<[string, string | Buffer, RegExp]>([
  ["that is no text", Buffer.from(Array.from({ length: 4_000 }, (_, index) => (index * 97) % 256)), /training file/],
  ["with no example", "\n\n", /no examples/],
  ["of two kinds", '{"prompt":"a","completion":" b"}\n{"messages":[]}\n', /line 2 /],
  [
    "with an example longer than the context",
    `${JSON.stringify({ prompt: "word ".repeat(5_000), completion: " b" })}\n`,
    /line 1 .*context/,
  ],
])("a file %s is a failed job", { timeout: 30_000 }, async (_, content, why) => {
  const file = await client.files.create({ file: await toFile(Buffer.from(content), "bad.jsonl"), purpose: "fine-tune" });
  const job = await ended((await client.fineTuning.jobs.create({ model: "demo-base", training_file: file.id })).id);
  expect(job).toMatchObject({ status: "failed", error: { message: expect.stringMatching(why) } });
});

test("what no job can be made of is refused at once, by name", async () => {
  const file = await client.files.create({ file: await toFile(Buffer.from("{}"), "x.jsonl"), purpose: "fine-tune" });
  const create = (body: object) => client.fineTuning.jobs.create({ model: "demo-base", training_file: file.id, ...body });
  const epochs = (n_epochs: number) => ({ method: { type: "supervised", supervised: { hyperparameters: { n_epochs } } } });
  await expect(create(epochs(0))).rejects.toMatchObject({ status: 400, param: "hyperparameters.epochs" });
  await expect(create(epochs(1_000_000))).rejects.toMatchObject({ status: 400, param: "hyperparameters.epochs" });
  await expect(create({ suffix: "No Good" })).rejects.toMatchObject({ status: 400, param: "suffix" });
  await expect(create({ method: { type: "dpo" } })).rejects.toMatchObject({ status: 400, param: "method.type" });
  await expect(create({ model: "nothing" })).rejects.toMatchObject({ status: 404 });
  await expect(create({ training_file: `file-${"0".repeat(24)}` })).rejects.toMatchObject({ status: 404 });
});
