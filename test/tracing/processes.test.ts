import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "#kernel";
import { InferenceServiceService, Prompt } from "#proto";
import { freePort } from "../../state/redis/testing/free-port.ts";
import { type CollectedSpan, type Collector, startCollector } from "./collector.ts";

/** Router and node agent as processes of their own, a collector that receives what they say of each request. */

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "cli/main.ts");
const CALLER = { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };
const SECRET_PROMPT = "a prompt that nobody else shall read";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-tracing-"));
const children: ChildProcess[] = [];
let collector: Collector;
let http: string;
let grpc: string;
let key: string;

function start(...[component, ...args]: readonly string[]): void {
  const common = ["--cluster-key-file", join(folder, "key"), "--metrics-listen", "127.0.0.1:0"];
  const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint };
  children.push(spawn(process.execPath, [MAIN, component!, ...common, ...args], { cwd: folder, env, stdio: "ignore" }));
}

beforeAll(async () => {
  collector = await startCollector();
  writeFileSync(join(folder, "key"), "a-secret-that-the-parts-share");
  const [scheduler, router, admin, web, node] = await Promise.all(Array.from({ length: 5 }, async () => `127.0.0.1:${await freePort()}`));
  start("scheduler", "--listen", scheduler!);
  start(
    ...["router", "--grpc-listen", router!, "--admin-listen", admin!, "--http-listen", web!],
    ...["--scheduler", scheduler!, "--data-directory", join(folder, "router")],
  );
  start(
    ...["node-agent", "--id", "n1", "--listen", node!, "--scheduler", scheduler!, "--router", router!],
    ...["--base", `demo-base=${join(ROOT, "models/demo-base")}`, "--cache-directory", join(folder, "n1"), "--threads", "1"],
  );
  http = `http://${web}`;
  grpc = router!;
  const ready = async () => (await fetch(`${http}/readyz`).catch(() => undefined))?.status;
  while ((await ready()) !== 200) await systemClock.after(100);
  key = readFileSync(join(folder, "router/admin-key"), "utf8").trim();
});

afterAll(async () => {
  await Promise.all(
    children.map(async (child) => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
    }),
  );
  await collector[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function complete(headers: Record<string, string> = {}, model = "demo-base"): Promise<string> {
  const response = await fetch(`${http}/v1/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, prompt: SECRET_PROMPT, max_tokens: 40, temperature: 0, stop: ["nobody says this"] }),
  });
  return await response.text();
}

/** All spans of a trace, once its root and so many in all have come. */
async function trace(traceId: string, count: number): Promise<readonly CollectedSpan[]> {
  const of = () => collector.spans.filter((span) => span.traceId === traceId);
  await expect.poll(() => of().length, { timeout: 15_000, interval: 50 }).toBeGreaterThanOrEqual(count);
  return of();
}

const named = (spans: readonly CollectedSpan[], name: string) => spans.find((span) => span.name === name)!;

test("a request is one trace over two processes, below its caller's span, and says nothing of what was said", async () => {
  const text = await complete({ traceparent: `00-${CALLER.trace}-${CALLER.span}-01`, tracestate: "vendor=secret", baggage: "user=secret" });
  const spans = await trace(CALLER.trace, 5);
  const [request, admission, attempt, generate, engine] = [
    ...["text_completion demo-base", "admission", "attempt", "generate", "engine"].map((name) => named(spans, name)),
  ] as [CollectedSpan, CollectedSpan, CollectedSpan, CollectedSpan, CollectedSpan];
  expect(request.parentId).toBe(CALLER.span);
  expect([admission.parentId, attempt.parentId]).toEqual([request.spanId, request.spanId]);
  expect([generate.parentId, engine.parentId]).toEqual([attempt.spanId, generate.spanId]);
  expect(spans.map(({ service }) => service).sort()).toEqual([
    ...["deltaplane-node-agent", "deltaplane-node-agent", "deltaplane-router", "deltaplane-router", "deltaplane-router"],
  ]);
  expect(request.attributes).toMatchObject({
    "gen_ai.operation.name": "text_completion",
    "gen_ai.provider.name": "deltaplane",
    "gen_ai.request.model": "demo-base",
    "gen_ai.request.max_tokens": 40,
    "gen_ai.request.temperature": 0,
    "gen_ai.response.finish_reasons": [expect.stringMatching(/^(stop|length)$/)],
    "gen_ai.usage.input_tokens": expect.any(Number),
    "gen_ai.usage.output_tokens": expect.any(Number),
  });
  expect(request.attributes["gen_ai.usage.output_tokens"]).toBe(engine.attributes["gen_ai.usage.output_tokens"]);
  expect(request.events.map(({ name }) => name)).toEqual(["pick", "first_token"]);
  expect(attempt.attributes).toMatchObject({ "deltaplane.node.id": "n1", "deltaplane.attempt": 1 });
  expect(engine.events.map(({ name }) => name).slice(0, 2)).toEqual(["prefill", "first_token"]);
  const told = JSON.stringify(spans);
  const said = (JSON.parse(text) as { choices: { text: string }[] }).choices[0]!.text;
  for (const secret of [SECRET_PROMPT, said, "nobody says this", "vendor=secret", "user=secret", key]) expect(told).not.toContain(secret);
});

test("over gRPC the caller's span is taken from its metadata", async () => {
  const traceId = "a".repeat(32);
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  metadata.set("traceparent", `00-${traceId}-${CALLER.span}-01`);
  metadata.set("x-huge", "h".repeat(4000));
  const client = new Client(grpc, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = InferenceServiceService.generate;
  const request = {
    ...{ model: "demo-base", echo: false, idempotencyKey: "", sampling: undefined },
    prompt: Prompt.fromPartial({ kind: { $case: "text", value: "once" } }),
  };
  const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata);
  for await (const _ of stream);
  client.close();
  const spans = await trace(traceId, 5);
  expect(named(spans, "text_completion demo-base").parentId).toBe(CALLER.span);
  expect(JSON.stringify(spans)).not.toContain("hhhhhhhh");
});

test("a failed request says why, by its reason alone", async () => {
  const traceId = "b".repeat(32);
  await complete({ traceparent: `00-${traceId}-${CALLER.span}-01` }, "no-such-model");
  const [request] = (await trace(traceId, 2)).filter(({ name }) => name === "text_completion");
  expect(request).toMatchObject({ failed: true, attributes: { "error.type": "model_unknown" } });
});

test("who asks not to be traced is not, and what is no traceparent begins a trace of its own", async () => {
  const unwanted = "c".repeat(32);
  await complete({ traceparent: `00-${unwanted}-${CALLER.span}-00` });
  const before = collector.spans.length;
  await complete({ traceparent: `00-${"d".repeat(4000)}-${CALLER.span}-01` });
  await expect.poll(() => collector.spans.length, { timeout: 15_000, interval: 50 }).toBeGreaterThanOrEqual(before + 5);
  const fresh = collector.spans.slice(before);
  expect(new Set(fresh.map(({ traceId }) => traceId)).size).toBe(1);
  expect(named(fresh, "text_completion demo-base").parentId).toBe("");
  expect(collector.spans.filter(({ traceId }) => traceId === unwanted)).toEqual([]);
});
