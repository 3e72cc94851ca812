import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { asTenantId, Fault, seededRandom, systemClock } from "#kernel";
import type { BaseInfo, DeltaReference } from "#model";
import { FinishReason, type GrpcChannel, NodeServiceService, openChannel, type Prompt } from "#proto";
import { type RunningNodeAgent, startNodeAgent } from "./node-agent.ts";
import { type FakeCluster, startFakeCluster } from "./testing/fake-cluster.ts";
import { choicesOf, generateRequest } from "./testing/fake-host.ts";
import { GOLDEN_BASE, goldenDeltaFolder, goldenExpected, goldenInfo, goldenReference } from "./testing/golden-base.ts";

const NAMES = ["rank-4-all", "rank-8-all-rslora", "rank-16-attention", "rank-64-first-rslora"];

// One agent with a real engine process and a tiny real base; the texts are those that transformers and peft wrote.
describe("a node agent with a real engine", { timeout: 30_000 }, () => {
  let base: BaseInfo;
  let cluster: FakeCluster;
  let directory: string;
  let agent: RunningNodeAgent;
  let router: GrpcChannel;
  const references = new Map<string, DeltaReference>();
  const expected = goldenExpected();
  let requests = 0;

  async function start() {
    agent = await startNodeAgent(
      { clock: systemClock, random: seededRandom(1), log: pino({ level: "silent" }), registry: new Registry() },
      {
        id: "node-real",
        listen: "127.0.0.1:0",
        bases: [{ name: "golden", directory: GOLDEN_BASE }],
        cacheDirectory: directory,
        clusterKey: "secret",
        schedulers: [],
        routers: [cluster.address],
        threads: 1,
        engine: { rowsMax: 8, slotsMax: 3 },
      },
    );
    router = openChannel({ address: `127.0.0.1:${agent.port}`, credential: "secret", clock: systemClock });
  }
  async function stop() {
    await router[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
  }

  beforeAll(async () => {
    base = await goldenInfo();
    cluster = await startFakeCluster();
    for (const name of NAMES) {
      const reference = await goldenReference(name, base);
      references.set(name, reference);
      cluster.folders.set(reference.digest, goldenDeltaFolder(name));
    }
    directory = await mkdtemp(join(tmpdir(), "node-agent-real-"));
    await start();
  });
  afterAll(async () => {
    await stop();
    await cluster[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const promptOf = (variant: string): Prompt => ({ kind: { $case: "tokens", value: { ids: [...expected(variant).tokens] } } });
  const requestOf = (variant: string, sampling = {}, different = {}) =>
    generateRequest(
      {
        requestId: `request-${++requests}`,
        baseDigest: base.digest,
        prompt: promptOf(variant),
        delta: references.get(variant),
        ...different,
      },
      { maxTokens: 64, ignoreEos: true, ...sampling },
    );
  const stream = (request: ReturnType<typeof requestOf>, signal?: AbortSignal) =>
    router.serverStream(NodeServiceService.generate, request, signal ? { signal } : {});
  const generate = async (variant: string, sampling = {}, different = {}) =>
    await Array.fromAsync(stream(requestOf(variant, sampling, different)));

  it("writes for the base and four deltas at once, in three slots, what peft writes", async () => {
    const variants = ["base", ...NAMES, "base", ...NAMES];
    const answers = await Promise.all(variants.map((variant) => generate(variant)));
    for (const [index, variant] of variants.entries())
      expect(choicesOf(answers[index]!)[0]!.tokenIds, variant).toEqual(expected(variant).greedy);
  });

  it("finds what a tenant's earlier text has computed, and nobody else's", async () => {
    const prompt: Prompt = { kind: { $case: "tokens", value: { ids: Array.from({ length: 75 }, (_, index) => 3 + ((index * 7) % 300)) } } };
    const cached = async (variant: string, tenantId: string) => {
      const messages = await generate(variant, { maxTokens: 2 }, { tenantId, prompt });
      return messages.map(({ usage }) => usage!.cachedTokens);
    };
    for (const variant of ["base", "rank-4-all"]) {
      expect(await cached(variant, `first-${variant}`)).toEqual([0, 0]);
      expect(await cached(variant, `first-${variant}`)).toEqual([64, 64]);
      expect(await cached(variant, "second")).toEqual([0, 0]);
    }
  });

  it("continues an interrupted text exactly, and stops at a stop string", async () => {
    const whole = await generate("rank-4-all");
    const text = choicesOf(whole)[0]!.text;
    for (const cut of [1, 20, 63]) {
      const [head] = choicesOf(whole.slice(0, cut));
      const progress = [{ choice: 0, tokenIds: head!.tokenIds, finished: false }];
      const [tail] = choicesOf(await generate("rank-4-all", {}, { attempt: 1, progress }));
      expect(head!.text + tail!.text).toBe(text);
    }
    const stopString = text.slice(30, 34);
    const [stopped] = choicesOf(await generate("rank-4-all", { stop: [stopString] }));
    expect(stopped!.text).toBe(text.slice(0, text.indexOf(stopString)));
    expect(stopped!.finishReason).toBe(FinishReason.FINISH_REASON_STOP);
  });

  it("gives log-probabilities, and the same ones when it scores the text", async () => {
    const [choice] = choicesOf(await generate("rank-4-all", { maxTokens: 5, logprobs: 3 }));
    for (const { tokenId, logprob, top } of choice!.logprobs) {
      expect(top).toHaveLength(3);
      expect(top[0]).toMatchObject({ tokenId, logprob });
    }
    const ids = [...expected("rank-4-all").tokens, ...choice!.tokenIds];
    const { tokens } = await router.unary(NodeServiceService.score, {
      requestId: "score-1",
      tenantId: "acme",
      baseDigest: base.digest,
      baseName: base.name,
      delta: references.get("rank-4-all"),
      prompt: { kind: { $case: "tokens", value: { ids } } },
      logprobs: 1,
      priceVersion: 1,
      admittedAtMs: 1,
    });
    for (const [index, { logprob }] of tokens.slice(-5).entries()) expect(logprob).toBeCloseTo(choice!.logprobs[index]!.logprob, 4);
  });

  it("samples the same text for the same seed, and another one for each choice", async () => {
    const sampling = { temperature: 1, seed: "42" };
    const once = choicesOf(await generate("rank-8-all-rslora", sampling));
    expect(choicesOf(await generate("rank-8-all-rslora", sampling))).toEqual(once);
    const [first, second] = choicesOf(await generate("rank-8-all-rslora", { ...sampling, n: 2 }));
    expect(first!.text).not.toBe(second!.text);
  });

  it("ends a cancelled request and goes on with the others", async () => {
    const leaving = new AbortController();
    let taken = 0;
    const reading = (async () => {
      for await (const _ of stream(requestOf("base", { maxTokens: 200 }), leaving.signal))
        if (++taken === 3) leaving.abort(new Fault("client_gone", "left"));
    })();
    await expect(reading).rejects.toMatchObject({ reason: "client_gone" });
    expect(choicesOf(await generate("base"))[0]!.tokenIds).toEqual(expected("base").greedy);
  });

  it("fetches a damaged delta again, and refuses one of another base", async () => {
    await stop();
    const { digest } = references.get("rank-16-attention")!;
    await truncate(join(directory, "deltas", digest, "adapter_model.safetensors"), 500);
    const before = cluster.downloads.length;
    await start();
    const messages = await generate("rank-16-attention");
    expect(choicesOf(messages)[0]!.tokenIds).toEqual(expected("rank-16-attention").greedy);
    expect(messages[0]!.residency).toBe("disk");
    expect(cluster.downloads.slice(before)).toEqual([digest]);
    const foreign = { digest, tenantId: asTenantId("acme"), baseDigest: "f".repeat(64) };
    await expect(generate("base", {}, { delta: foreign })).rejects.toMatchObject({ reason: "delta_base_mismatch" });
  });

  it.skipIf(process.platform !== "linux")("outlives kill -9 of its engine", async () => {
    const pids = engineProcesses();
    expect(pids).toHaveLength(1);
    const running = stream(requestOf("base", { maxTokens: 200 }))[Symbol.asyncIterator]();
    await running.next();
    process.kill(pids[0]!, "SIGKILL");
    const rest = (async () => {
      while (!(await running.next()).done);
    })();
    await expect(rest).rejects.toMatchObject({ reason: "engine_lost" });
    const greedy = async () => choicesOf(await generate("rank-4-all").catch(() => []))[0]?.tokenIds;
    await expect.poll(greedy, { timeout: 15_000 }).toEqual(expected("rank-4-all").greedy);
    expect(engineProcesses()).not.toEqual(pids);
  });

  it("has claimed every token that it handed over", async () => {
    await expect.poll(() => cluster.claims.filter(({ outcome }) => outcome === "completed").length).toBeGreaterThan(10);
    const greedy = cluster.claims.find(({ requestId, outcome }) => requestId === "request-1" && outcome === "completed");
    expect(greedy?.usage).toEqual({ promptTokens: expected("base").tokens.length, cachedTokens: 0, completionTokens: 64 });
  });
});

/** Children of this process that run an engine. */
function engineProcesses(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
        return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("engine-process");
      } catch {
        return false; // It ended while we looked.
      }
    });
}
