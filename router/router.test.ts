import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asRequestId, asTenantId, type Claim, Fault, seededRandom, startClaimOutbox, systemClock } from "#kernel";
import {
  AdminServiceService,
  BillingServiceService,
  FinishReason,
  type GenerateRequest,
  type GenerateResponse,
  type GrpcChannel,
  InferenceServiceService,
  ModelServiceService,
  Sampling,
  UsageDimension,
} from "#proto";
import { createLedger } from "./ledger/index.ts";
import { BASE_DIGEST, BASE_NAME } from "./testing/cluster-of.ts";
import { type RouterUnderTest, runRouter } from "./testing/running-router.ts";
import { PROMPT_TOKENS, scriptedNode } from "./testing/scripted-node.ts";

function request(change: Partial<GenerateRequest> = {}, sampling: Partial<Sampling> = {}): GenerateRequest {
  return {
    model: BASE_NAME,
    prompt: { kind: { $case: "text", value: "hello" } },
    sampling: { ...Sampling.create(), seed: "1", maxTokens: 12, ...sampling },
    echo: false,
    idempotencyKey: "",
    ...change,
  };
}

function generate(channel: GrpcChannel, wish: GenerateRequest = request()): Promise<GenerateResponse[]> {
  return Array.fromAsync(channel.serverStream(InferenceServiceService.generate, wish));
}

/** What the ledger has of everyone, as soon as it has something. */
async function posted(under: RouterUnderTest) {
  const ledger = createLedger({
    journal: under.store.journal,
    meters: under.store.meters,
    clock: systemClock,
    random: seededRandom(1),
    price: async () => undefined,
  });
  return (await ledger.usage({ by: [] }))[0];
}

async function faultOf(answer: Promise<unknown>): Promise<Fault> {
  return answer.then(
    () => {
      throw new Error("no fault");
    },
    (error: unknown) => error as Fault,
  );
}

describe("over gRPC", () => {
  let under: RouterUnderTest;
  let acme: GrpcChannel;
  let acmeKey: { readonly id: string; readonly text: string };

  beforeAll(async () => {
    under = await runRouter({ a: scriptedNode(), b: scriptedNode() });
    acmeKey = await under.tenantKey("acme");
    acme = under.channel(acmeKey.text);
  });
  afterAll(() => under[Symbol.asyncDispose]());

  test("a text streams with cumulative usage, and the ledger has what the last piece says", async () => {
    const pieces = await generate(acme);
    expect(pieces.length).toBeGreaterThan(1);
    expect(new Set(pieces.map((piece) => piece.requestId)).size).toBe(1);
    expect(pieces[0]).toMatchObject({ model: BASE_NAME, requestId: expect.stringMatching(/^req_[0-9a-f]{32}$/) });
    let tokens = 0;
    for (const piece of pieces) {
      tokens += piece.tokenIds.length;
      expect(piece.usage?.completionTokens).toBe(tokens);
    }
    expect(pieces.at(-1)?.finishReason).not.toBe(FinishReason.FINISH_REASON_UNSPECIFIED);
    await expect
      .poll(() =>
        acme.unary(BillingServiceService.getUsage, { by: [UsageDimension.USAGE_DIMENSION_KEY], sinceMs: 0, untilMs: 0, tenantId: "" }),
      )
      .toEqual({
        rows: [
          {
            tenantId: "",
            model: "",
            keyId: acmeKey.id,
            day: "",
            requests: 1,
            promptTokens: PROMPT_TOKENS,
            cachedTokens: 2,
            completionTokens: tokens,
            trainedTokens: 0,
            ...{ projectId: "", base: "", startMs: 0, priceVersion: 0, amountUsd: "0.00" },
          },
        ],
      });
    const metrics = await under.registry.metrics();
    expect(metrics).toContain('deltaplane_requests_total{code="ok",base="demo-base"} 1');
    expect(metrics).toContain(`deltaplane_tokens_total{base="demo-base",kind="completion"} ${tokens}`);
    expect(metrics).toContain('deltaplane_time_to_first_token_seconds_count{base="demo-base",residency="hot"} 1');
    expect(metrics).toContain('deltaplane_placement_decisions_total{reason="base"} 1');
    expect(metrics).toContain('deltaplane_admission_total{outcome="admitted"} 1');
    expect(metrics).toContain("deltaplane_queue_wait_seconds_count 1");
    expect(metrics).toContain("deltaplane_ledger_entries_total");
  });

  test("usage is a tenant's own", async () => {
    const zeta = under.channel((await under.tenantKey("zeta")).text);
    expect(
      (
        await zeta.unary(BillingServiceService.getUsage, {
          by: [UsageDimension.USAGE_DIMENSION_TENANT],
          sinceMs: 0,
          untilMs: 0,
          tenantId: "",
        })
      ).rows,
    ).toEqual([]);
  });

  test.each<[string, Partial<Sampling>]>([
    ["temperature", { temperature: 2.5 }],
    ["top_p", { topP: Number.NaN }],
    ["max_tokens", { maxTokens: 0 }],
    ["n", { n: 17 }],
    ["stop[0]", { stop: [""] }],
    ["logit_bias[3]", { logitBias: { 3: 200 } }],
  ])("a bad %s is named in the rich details", async (field, sampling) => {
    expect(await faultOf(generate(acme, request({}, sampling)))).toMatchObject({
      code: "invalid_argument",
      reason: "parameter_invalid",
      detail: { field },
    });
  });

  test("a prompt is needed, and a model", async () => {
    expect(await faultOf(generate(acme, request({ prompt: undefined })))).toMatchObject({ detail: { field: "prompt" } });
    expect(await faultOf(generate(acme, request({ model: "" })))).toMatchObject({ detail: { field: "model" } });
  });

  test("a 5 MB message is refused, and the router goes on", async () => {
    const large = request({ prompt: { kind: { $case: "text", value: "x".repeat(5_000_000) } } });
    expect((await faultOf(generate(acme, large))).code).toBe("resource_exhausted");
    expect((await generate(acme)).length).toBeGreaterThan(1);
  });

  test("prompts are scored and counted", async () => {
    const prompt = { kind: { $case: "tokens" as const, value: { ids: [1, 2, 3] } } };
    const scored = await acme.unary(InferenceServiceService.score, { model: BASE_NAME, prompt, logprobs: 0 });
    expect(scored).toMatchObject({ usage: { promptTokens: 3, completionTokens: 0 } });
    expect(scored.tokens.map((token) => token.tokenId)).toEqual([1, 2, 3]);
    expect(await acme.unary(InferenceServiceService.countTokens, { model: BASE_NAME, prompt })).toEqual({ tokens: 3 });
  });

  test("the operator sees the cluster", async () => {
    const cluster = await under.admin.unary(AdminServiceService.getCluster, {});
    expect(cluster.nodes.map((node) => node.view?.id)).toEqual(["a", "b"]);
    expect(cluster.bases.map((base) => base.name)).toEqual([BASE_NAME]);
  });

  test("models are what the caller may say", async () => {
    const { models } = await acme.unary(ModelServiceService.listModels, {});
    expect(models).toEqual([{ name: BASE_NAME, owner: "base", createdAtMs: 0, base: BASE_NAME, root: "" }]);
  });
});

test("a revoked key is refused at once", async () => {
  await using under = await runRouter({ a: scriptedNode() });
  const key = await under.tenantKey("acme");
  const channel = under.channel(key.text);
  expect((await generate(channel)).length).toBeGreaterThan(0);
  await under.admin.unary(AdminServiceService.revokeKey, { id: key.id });
  expect(await faultOf(generate(channel))).toMatchObject({ code: "unauthenticated", reason: "key_unknown" });
});

test("a node that dies mid-stream is not noticed by the client", async () => {
  const death = ({ attempt }: { attempt: number }) => (attempt === 1 ? ({ afterPieces: 3, reason: "node_lost" } as const) : undefined);
  await using disturbed = await runRouter({ a: scriptedNode({ death }), b: scriptedNode({ death }) });
  await using calm = await runRouter({ a: scriptedNode() });
  const text = async (under: RouterUnderTest) =>
    (await generate(under.channel((await under.tenantKey("acme")).text))).map((piece) => piece.text).join("");
  expect(await text(disturbed)).toBe(await text(calm));
});

test("a client that leaves ends the node's work, and pays for what it was sent", async () => {
  let reached = 0;
  const ended = Promise.withResolvers<void>();
  const pace = async (signal: AbortSignal) => {
    reached++;
    signal.addEventListener("abort", () => ended.resolve(), { once: true });
    await systemClock.after(5, signal);
  };
  await using under = await runRouter({ a: scriptedNode({ pace }) });
  const channel = under.channel((await under.tenantKey("acme")).text);
  const leave = new AbortController();
  const gone = new Error("enough");
  const read = async () => {
    for await (const piece of channel.serverStream(InferenceServiceService.generate, request({}, { maxTokens: 200 }), {
      signal: leave.signal,
    })) {
      if (piece.usage!.completionTokens === 4) leave.abort(gone);
    }
  };
  await expect(read()).rejects.toBe(gone);
  await ended.promise;
  const stoppedAt = reached;
  await expect.poll(async () => (await posted(under))?.completionTokens).toBeGreaterThanOrEqual(4);
  expect((await posted(under))!.completionTokens).toBeLessThanOrEqual(stoppedAt);
  expect(reached).toBe(stoppedAt);
});

test("a deadline reaches the node", async () => {
  const aborted = Promise.withResolvers<unknown>();
  const pace = async (signal: AbortSignal) => {
    signal.addEventListener("abort", () => aborted.resolve(signal.reason), { once: true });
    await systemClock.after(10_000, signal);
  };
  await using under = await runRouter({ a: scriptedNode({ pace }) });
  const channel = under.channel((await under.tenantKey("acme")).text);
  const late = Array.fromAsync(channel.serverStream(InferenceServiceService.generate, request(), { timeoutMs: 50 }));
  expect(await faultOf(late)).toMatchObject({ reason: "deadline_passed" });
  expect(await aborted.promise).toMatchObject({ reason: "deadline_passed" });
});

test("without a node a request is told so at once", async () => {
  await using under = await runRouter({});
  const channel = under.channel((await under.tenantKey("acme")).text);
  expect(under.router.core.ready()).toBe(false);
  expect(await faultOf(generate(channel))).toMatchObject({ reason: "no_ready_node" });
});

test("a drain lets running texts end, and delivers their claims", async () => {
  const under = await runRouter({ a: scriptedNode({ pace: (signal) => systemClock.after(10, signal) }) });
  const key = await under.tenantKey("acme");
  const running = generate(under.channel(key.text));
  await systemClock.after(30);
  const drained = under.router.drain();
  expect(under.router.core.ready()).toBe(false);
  const pieces = await running;
  expect(pieces.at(-1)?.finishReason).not.toBe(FinishReason.FINISH_REASON_UNSPECIFIED);
  await drained;
  expect(await posted(under)).toMatchObject({ completionTokens: pieces.at(-1)!.usage!.completionTokens });
  await under[Symbol.asyncDispose]();
});

test("what an earlier life claimed is in the ledger before anything is served", async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), "deltaplane-router-"));
  const claim: Claim = {
    ...{ requestId: asRequestId("req_1"), attempt: 1, tenantId: asTenantId("acme"), baseDigest: BASE_DIGEST, baseName: BASE_NAME },
    ...{ priceVersion: 0, usage: { promptTokens: 3, cachedTokens: 0, completionTokens: 4 }, outcome: "running", admittedAt: 1000 },
  };
  const deliver = () => Promise.reject(new Fault("store_unreachable", "the ledger is away"));
  const earlier = await startClaimOutbox({ clock: systemClock }, { file: join(dataDirectory, "claims"), deliver });
  await earlier.write(claim);
  await earlier[Symbol.asyncDispose]();
  await using under = await runRouter({ a: scriptedNode() }, { dataDirectory });
  expect(await posted(under)).toMatchObject({ requests: 1, promptTokens: 3, completionTokens: 4 });
  await rm(dataDirectory, { recursive: true });
});

test("a repetition under the same idempotency key is answered alike and charged once, over the wire as well", async () => {
  await using under = await runRouter({ a: scriptedNode() });
  const channel = under.channel((await under.tenantKey("acme")).text);
  const wish = request({ idempotencyKey: "order-17" });
  const first = await generate(channel, wish);
  const second = await generate(channel, wish);
  const textOf = (pieces: readonly GenerateResponse[]) => pieces.map(({ text }) => text).join("");
  expect(textOf(second)).toBe(textOf(first));
  expect(second[0]!.requestId).toBe(first[0]!.requestId);
  expect(second.at(-1)!.usage).toEqual(first.at(-1)!.usage);
  await expect.poll(() => posted(under)).toMatchObject({ requests: 1, completionTokens: first.at(-1)!.usage!.completionTokens });
});

test("both doors open on one core", async () => {
  await using under = await runRouter({ a: scriptedNode() }, { httpListen: "127.0.0.1:0" });
  const { text } = await under.tenantKey("acme");
  const answer = await fetch(`http://127.0.0.1:${under.router.httpPort}/v1/models`, { headers: { authorization: `Bearer ${text}` } });
  expect(await answer.json()).toMatchObject({ data: [{ id: BASE_NAME }] });
});
