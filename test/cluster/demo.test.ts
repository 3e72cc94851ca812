import { chmodSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BillingServiceService, type GrpcChannel, UsageDimension } from "#proto";
import { type GeneratedText, generate, greedy } from "./generated-text.ts";
import { type RunningCluster, startCluster } from "./running-cluster.ts";

const TENANTS = { taxly: "tax", shopkit: "copy", lingua: "translate" } as const;
type Tenant = keyof typeof TENANTS;

interface HeldOut {
  readonly prompt: string;
  readonly completion: string;
}

function heldOut(delta: string, count: number): readonly HeldOut[] {
  const file = join(import.meta.dirname, "../../models/demo-deltas", delta, "heldout.jsonl");
  return readFileSync(file, "utf8")
    .split("\n")
    .slice(0, count)
    .map((line) => JSON.parse(line) as HeldOut);
}

let cluster: RunningCluster;
const channels = {} as Record<Tenant, GrpcChannel>;

beforeAll(async () => {
  cluster = await startCluster();
  for (const tenant of Object.keys(TENANTS) as Tenant[]) channels[tenant] = cluster.channel(cluster.tenantKeys[tenant]!);
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

const ask = (tenant: Tenant, example: HeldOut) =>
  generate(channels[tenant], greedy(`${tenant}/${TENANTS[tenant]}`, `${example.prompt}\n`, 96));

describe("the demo cluster", () => {
  test("answers what no tenant's model has seen: at least 9 in 10 exact for tax and translate", async () => {
    for (const tenant of ["taxly", "lingua"] as const) {
      const examples = heldOut(TENANTS[tenant], 40);
      const answers = await Promise.all(examples.map((example) => ask(tenant, example)));
      const exact = answers.filter((answer, index) => answer.text.trim() === examples[index]!.completion.trim());
      expect(exact.length / examples.length, tenant).toBeGreaterThanOrEqual(0.9);
    }
  });

  test("runs rows of different tenants in one batch, each with its own delta's answer", async () => {
    const jobs = (Object.keys(TENANTS) as Tenant[]).flatMap((tenant) =>
      heldOut(TENANTS[tenant], 8).map((example) => ({ tenant, example })),
    );
    const alone: GeneratedText[] = [];
    for (const { tenant, example } of jobs) alone.push(await ask(tenant, example));
    const together = await Promise.all(jobs.map(({ tenant, example }) => ask(tenant, example)));
    expect(together.map((answer) => answer.text)).toEqual(alone.map((answer) => answer.text));
  });

  test("gives the same text over gRPC, HTTP and the command line", async () => {
    const [example] = heldOut("translate", 1);
    const overGrpc = await ask("lingua", example!);
    const openai = new OpenAI({ baseURL: `${cluster.http}/v1`, apiKey: cluster.tenantKeys["lingua"]! });
    const overHttp = await openai.completions.create({
      model: "lingua/translate",
      prompt: `${example!.prompt}\n`,
      temperature: 0,
      max_tokens: 96,
    });
    const args = ["lingua/translate", `${example!.prompt}\n`, "--raw", "--temperature", "0", "--max-tokens", "96"];
    const overCli = cluster.cli("run", ...args, "--key", cluster.tenantKeys["lingua"]!);
    expect([overHttp.choices[0]!.text, overCli.trimEnd()]).toEqual([overGrpc.text, overGrpc.text.trimEnd()]);
    expect(overHttp.usage?.completion_tokens).toBe(overGrpc.tokenIds.length);
  });

  test("the chat form works too, streamed", async () => {
    const [example] = heldOut("tax", 1);
    const openai = new OpenAI({ baseURL: `${cluster.http}/v1`, apiKey: cluster.tenantKeys["taxly"]! });
    const stream = await openai.chat.completions.create({
      model: "taxly/tax",
      messages: [{ role: "user", content: example!.prompt }],
      temperature: 0,
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text.trim()).toBe(example!.completion.trim());
  });

  test("meters every token: the ledger says what the client counted", async () => {
    const usageOf = async () => {
      const { rows } = await channels.shopkit.unary(BillingServiceService.getUsage, {
        by: [UsageDimension.USAGE_DIMENSION_TENANT],
        sinceMs: 0,
        untilMs: 0,
        tenantId: "",
      });
      return rows[0] ?? { requests: 0, promptTokens: 0, completionTokens: 0 };
    };
    const before = await usageOf();
    const answers = await Promise.all(heldOut("copy", 12).map((example) => ask("shopkit", example)));
    await expect
      .poll(async () => {
        const after = await usageOf();
        return [
          after.requests - before.requests,
          after.promptTokens - before.promptTokens,
          after.completionTokens - before.completionTokens,
        ];
      })
      .toEqual([12, sum(answers.map((answer) => answer.usage.promptTokens)), sum(answers.map((answer) => answer.tokenIds.length))]);
    for (const answer of answers) expect(answer.usage.completionTokens).toBe(answer.tokenIds.length);
  });

  test("tells what is hot where, and exposes metrics on a port of their own", async () => {
    const held = JSON.parse(cluster.cli("ps", "-o", "json")) as { model: string }[];
    expect(held.some((delta) => delta.model.startsWith("ft:demo-base:lingua:translate:"))).toBe(true);
    const metrics = await (await fetch(cluster.metrics)).text();
    expect(metrics).toMatch(/deltaplane_requests_total\{[^}]*\} [1-9]/);
    expect(metrics).toMatch(/deltaplane_placement_decisions_total\{[^}]*\} [1-9]/);
  });

  test("prints, when ready, one line for scripts and an example for each client", () => {
    const printed = cluster.printed.join("\n");
    for (const example of ["deltaplane ready http=", "curl ", "new OpenAI(", "grpcurl ", "npx deltaplane run"])
      expect(printed).toContain(example);
  });
});

test("Ctrl-C drains and exits with 0, and the next start finds its state and keeps it from other users", async () => {
  const first = await startCluster();
  const key = first.tenantKeys["taxly"]!;
  const [example] = heldOut("tax", 1);
  const before = await generate(first.channel(key), greedy("taxly/tax", `${example!.prompt}\n`));
  expect(await first.stop()).toBe(0);
  chmodSync(first.home, 0o755);
  await using second = await startCluster({ home: first.home });
  const after = await generate(second.channel(key), greedy("taxly/tax", `${example!.prompt}\n`));
  expect(after.text).toBe(before.text);
  expect(statSync(second.home).mode & 0o777).toBe(0o700);
  const rows = JSON.parse(second.cli("usage", "--by", "tenant", "-o", "json", "--key", key)) as { completionTokens: number }[];
  expect(rows[0]?.completionTokens).toBe(before.tokenIds.length + after.tokenIds.length);
});

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
