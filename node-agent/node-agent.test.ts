import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fault, seededRandom, systemClock } from "#kernel";
import type { BaseInfo, DeltaReference } from "#model";
import { AttachRequest, DetachRequest, DrainRequest, type GrpcChannel, NodeServiceService, NodeState, openChannel, Tier } from "#proto";
import { type NodeAgentOptions, type RunningNodeAgent, startNodeAgent } from "./node-agent.ts";
import { type FakeCluster, startFakeCluster } from "./testing/fake-cluster.ts";
import { FakeEngine } from "./testing/fake-engine.ts";
import { choicesOf, generateRequest } from "./testing/fake-host.ts";
import { GOLDEN_BASE, goldenDeltaFolder, goldenInfo, goldenReference } from "./testing/golden-base.ts";

const CLUSTER_KEY = "cluster-secret";

describe("a node agent", () => {
  let base: BaseInfo;
  let delta: DeltaReference;
  let directory: string;
  let cluster: FakeCluster;
  let engines: FakeEngine[];
  let deviceGone: boolean;
  let registry: Registry;
  let agent: RunningNodeAgent;
  let router: GrpcChannel;

  async function start(different: Partial<NodeAgentOptions> = {}) {
    registry = new Registry();
    engines = [];
    deviceGone = false;
    agent = await startNodeAgent(
      {
        clock: systemClock,
        random: seededRandom(1),
        log: pino({ level: "silent" }),
        registry,
        startEngine: async () => {
          if (deviceGone) throw new Fault("engine_lost", "no device");
          engines.push(new FakeEngine(base, 2));
          return engines.at(-1)!;
        },
      },
      {
        id: "node-1",
        listen: "127.0.0.1:0",
        bases: [{ name: "golden", directory: GOLDEN_BASE }],
        cacheDirectory: directory,
        clusterKey: CLUSTER_KEY,
        schedulers: [cluster.address],
        routers: [cluster.address],
        threads: 1,
        ...different,
      },
    );
    router = openChannel({ address: `127.0.0.1:${agent.port}`, credential: CLUSTER_KEY, clock: systemClock });
  }

  beforeEach(async () => {
    base = await goldenInfo();
    delta = await goldenReference("rank-4-all", base);
    directory = await mkdtemp(join(tmpdir(), "node-agent-"));
    cluster = await startFakeCluster();
    cluster.folders.set(delta.digest, goldenDeltaFolder("rank-4-all"));
    await start();
  });
  afterEach(async () => {
    await router[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  /** A slow machine also sends claims of requests that still run. */
  const completed = () => cluster.claims.filter(({ outcome }) => outcome === "completed");
  const generate = (different = {}, sampling = {}) =>
    Array.fromAsync(router.serverStream(NodeServiceService.generate, generateRequest({ baseDigest: base.digest, ...different }, sampling)));

  it("generates for the base and for a delta, and delivers the claims", async () => {
    const [plain] = choicesOf(await generate());
    const messages = await generate({ requestId: "request-2", delta });
    const [tuned] = choicesOf(messages);
    expect(plain!.tokenIds).toHaveLength(12);
    expect(tuned!.text).not.toBe(plain!.text);
    expect(messages[0]!.residency).toBe("origin");
    expect((await generate({ requestId: "request-3", delta }))[0]!.residency).toBe("slot");
    await expect
      .poll(() =>
        completed()
          .map(({ requestId }) => requestId)
          .sort(),
      )
      .toEqual(["request-1", "request-2", "request-3"]);
    expect(completed().find(({ requestId }) => requestId === "request-2")).toMatchObject({
      deltaDigest: delta.digest,
      usage: { completionTokens: 12 },
      outcome: "completed",
    });
  });

  it("keeps claims that nobody took over a restart", async () => {
    await router[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
    await start({ grace: { noticeMs: 0, streamsMs: 1_000, cutMs: 1_000, settleMs: 50 } });
    cluster.refuseClaims = new Fault("store_unreachable", "away");
    await generate();
    await router[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
    expect(cluster.claims).toEqual([]);
    cluster.refuseClaims = undefined;
    await start();
    await expect.poll(() => completed().map(({ requestId }) => requestId)).toEqual(["request-1"]);
  });

  it("reports everything at first and then what changed, and starts anew when the stream ends", async () => {
    await expect.poll(() => cluster.reports.length).toBeGreaterThan(0);
    expect(cluster.reports[0]).toMatchObject({ nodeId: "node-1", sequence: 1, full: true, state: NodeState.NODE_STATE_READY, deltas: [] });
    expect(cluster.reports[0]!.address).toBe(`127.0.0.1:${agent.port}`);
    expect(cluster.reports[0]!.bases).toMatchObject([{ name: "golden", digest: base.digest, contextTokensMax: 256, slotsMax: 2 }]);
    await generate({ delta });
    const inSlot = { digest: delta.digest, tenantId: "acme", tier: Tier.TIER_SLOT, rank: 4, references: 0 };
    await expect.poll(() => cluster.reports.flatMap(({ deltas }) => deltas).at(-1)).toMatchObject(inSlot);
    expect(cluster.reports.map(({ sequence }) => sequence)).toEqual(cluster.reports.map((_, index) => index + 1));
    const before = cluster.reports.length;
    cluster.endReports();
    await expect.poll(() => cluster.reports[before]).toMatchObject({ sequence: 1, full: true, deltas: [inSlot] });
  });

  it("asks for the cluster key on every call", async () => {
    await using stranger = openChannel({ address: `127.0.0.1:${agent.port}`, credential: "guess", clock: systemClock });
    await using nobody = openChannel({ address: `127.0.0.1:${agent.port}`, clock: systemClock });
    const wire = { ...delta };
    for (const [channel, reason] of [
      [stranger, "key_unknown"],
      [nobody, "key_missing"],
    ] as const) {
      const request = generateRequest({ baseDigest: base.digest });
      await expect(Array.fromAsync(channel.serverStream(NodeServiceService.generate, request))).rejects.toMatchObject({ reason });
      await expect(channel.unary(NodeServiceService.attach, AttachRequest.create({ delta: wire, pinned: true }))).rejects.toMatchObject({
        reason,
      });
      await expect(channel.unary(NodeServiceService.detach, DetachRequest.create({ delta: wire }))).rejects.toMatchObject({ reason });
      await expect(channel.unary(NodeServiceService.inspect, { delta: wire })).rejects.toMatchObject({ reason });
      await expect(channel.unary(NodeServiceService.drain, DrainRequest.create())).rejects.toMatchObject({ reason });
      await expect(channel.unary(NodeServiceService.attachBase, { name: "x", directory: "/" })).rejects.toMatchObject({ reason });
      await expect(channel.unary(NodeServiceService.countTokens, { baseDigest: base.digest, prompt: undefined })).rejects.toMatchObject({
        reason,
      });
    }
  });

  it.each([
    ["prompt_malformed", { prompt: undefined }, {}],
    ["prompt_malformed", { prompt: { kind: { $case: "tokens", value: { ids: [5, 320] } } } }, {}],
    ["prompt_malformed", { prompt: { kind: { $case: "tokens", value: { ids: [] } } } }, {}],
    ["parameter_unsupported", { prompt: { kind: { $case: "chat", value: { messages: [{ role: "user", content: "hi" }] } } } }, {}],
    ["context_too_long", { prompt: { kind: { $case: "tokens", value: { ids: Array(256).fill(5) } } } }, {}],
    ["context_too_long", {}, { maxTokens: 256 }],
    ["parameter_invalid", {}, { temperature: 3 }],
    ["parameter_invalid", { requestId: "" }, {}],
    ["parameter_invalid", { delta: { digest: "../../etc", tenantId: "acme", baseDigest: "x" } }, {}],
    ["parameter_invalid", { progress: [{ choice: 1, tokenIds: [5], finished: false }] }, {}],
    ["model_unknown", { baseDigest: "f".repeat(64) }, {}],
  ])("answers %s to a bad request (%#) and goes on", async (reason, different, sampling) => {
    await expect(generate(different, sampling)).rejects.toMatchObject({ reason });
    expect(choicesOf(await generate())[0]!.tokenIds).toHaveLength(12);
  });

  it("refuses a delta of another base, an unknown one, and a corrupt one", async () => {
    const foreign = { ...delta, baseDigest: "f".repeat(64) };
    await expect(generate({ delta: foreign })).rejects.toMatchObject({ reason: "delta_base_mismatch" });
    await expect(generate({ delta: { ...delta, digest: "e".repeat(64) } })).rejects.toMatchObject({ reason: "resource_unknown" });
    const mislabelled = { ...delta, digest: "d".repeat(64) };
    cluster.folders.set(mislabelled.digest, goldenDeltaFolder("rank-4-all"));
    await expect(router.unary(NodeServiceService.inspect, { delta: mislabelled })).rejects.toMatchObject({ reason: "checksum_mismatch" });
    expect(await router.unary(NodeServiceService.inspect, { delta })).toMatchObject({
      rank: 4,
      targets: expect.arrayContaining(["self_attn.q_proj", "mlp.down_proj"]),
    });
  });

  it("warms and drops deltas on request", async () => {
    await router.unary(NodeServiceService.attach, AttachRequest.create({ delta, pinned: true }));
    expect((await generate({ delta }))[0]!.residency).toBe("ram");
    await router.unary(NodeServiceService.detach, DetachRequest.create({ delta }));
    await expect.poll(async () => (await generate({ delta }))[0]!.residency).toBe("origin");
    expect(cluster.downloads.length).toBe(2);
  });

  it("moves deltas as the leader orders: nearer to the engine, and back to disk, but never one that is pinned", async () => {
    const order = { delta, leaderEpoch: 3, keepPin: true, keepOnDisk: true };
    const arrival = async () => (await generate({ delta }))[0]!.residency;
    await router.unary(NodeServiceService.attach, AttachRequest.create({ ...order, tier: Tier.TIER_SLOT }));
    expect(await arrival()).toBe("slot");
    await router.unary(NodeServiceService.detach, DetachRequest.create(order));
    await expect.poll(arrival).toBe("disk");
    await router.unary(NodeServiceService.attach, AttachRequest.create({ delta, pinned: true }));
    await router.unary(NodeServiceService.attach, AttachRequest.create({ ...order, tier: Tier.TIER_RAM }));
    await router.unary(NodeServiceService.detach, DetachRequest.create(order));
    expect(await arrival()).toBe("slot");
    expect(cluster.downloads.length).toBe(1);
  });

  it("follows no order of a leader that another one has followed", async () => {
    const order = (leaderEpoch: number) => AttachRequest.create({ delta, leaderEpoch, keepPin: true });
    await router.unary(NodeServiceService.attach, order(4));
    await expect(router.unary(NodeServiceService.attach, order(3))).rejects.toMatchObject({ reason: "lease_lost" });
    const old = { leaderEpoch: 3 };
    await expect(router.unary(NodeServiceService.detach, DetachRequest.create({ delta, ...old }))).rejects.toMatchObject({
      reason: "lease_lost",
    });
    await expect(router.unary(NodeServiceService.drain, old)).rejects.toMatchObject({ reason: "lease_lost" });
    await router.unary(NodeServiceService.attach, AttachRequest.create({ delta }));
  });

  it("lends what it has on disk to other nodes, and sends them away at once for anything else", async () => {
    const borrowed = () => Array.fromAsync(router.serverStream(NodeServiceService.fetchDelta, { delta }));
    await expect(borrowed()).rejects.toMatchObject({ reason: "delta_unavailable" });
    await generate({ delta });
    const parts = (await borrowed()).map(({ part }) => part);
    expect(parts.map((part) => part?.$case)).toEqual([undefined, "config", "weights"]);
    expect(JSON.parse(parts[1]!.value.toString())).toHaveProperty("target_modules");
  });

  it("tells schedulers what was asked for", async () => {
    for (let index = 0; index < 3; index++) await generate({ delta });
    const told = () => cluster.reports.flatMap(({ demand }) => demand).at(-1);
    await expect.poll(() => told()?.tokens ?? 0, { timeout: 3000 }).toBeGreaterThanOrEqual(3 * 12);
    expect(told()).toMatchObject({ digest: delta.digest, tokensPerSecond: expect.any(Number) });
  });

  it("scores and counts", async () => {
    const prompt = { kind: { $case: "tokens" as const, value: { ids: [5, 6, 7] } } };
    const score = await router.unary(NodeServiceService.score, {
      requestId: "score-1",
      tenantId: "acme",
      baseDigest: base.digest,
      baseName: base.name,
      delta: undefined,
      prompt,
      logprobs: 0,
      priceVersion: 1,
      admittedAtMs: 5,
    });
    expect(score.tokens.map(({ tokenId, logprob }) => [tokenId, logprob])).toEqual([
      [5, 0],
      [6, -0.06],
      [7, -0.07],
    ]);
    expect(score.usage).toMatchObject({ promptTokens: 3, completionTokens: 0 });
    await expect.poll(() => cluster.claims).toMatchObject([{ requestId: "score-1", usage: { promptTokens: 3 }, outcome: "completed" }]);
    expect(await router.unary(NodeServiceService.countTokens, { baseDigest: base.digest, prompt })).toEqual({ tokens: 3 });
  });

  it("attaches a base once", async () => {
    const again = await router.unary(NodeServiceService.attachBase, { name: "golden", directory: GOLDEN_BASE });
    expect(again.base).toMatchObject({ digest: base.digest, architecture: "llama", directory: GOLDEN_BASE });
    expect(engines).toHaveLength(1);
    const elsewhere = router.unary(NodeServiceService.attachBase, { name: "golden", directory: "/nowhere" });
    await expect(elsewhere).rejects.toMatchObject({ reason: "resource_exists" });
    await expect(router.unary(NodeServiceService.attachBase, { name: "other", directory: "/nowhere" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  it("drains: refuses new work, finishes what runs, and says so in its reports", async () => {
    const resume = Promise.withResolvers<void>();
    engines[0]!.hold = resume.promise;
    const running = generate();
    await expect.poll(() => engines[0]!.running).toBe(1);
    let drained = false;
    const draining = router.unary(NodeServiceService.drain, DrainRequest.create()).then(() => {
      drained = true;
    });
    await expect.poll(() => cluster.reports.at(-1)?.state).toBe(NodeState.NODE_STATE_DRAINING);
    await expect(generate({ requestId: "late" })).rejects.toMatchObject({ reason: "node_draining" });
    expect(drained).toBe(false);
    engines[0]!.hold = undefined;
    resume.resolve();
    expect(choicesOf(await running)[0]!.tokenIds).toHaveLength(12);
    await draining;
    await router.unary(NodeServiceService.resume, {});
    await generate({ requestId: "later" });
    await expect.poll(() => cluster.reports.at(-1)?.state).toBe(NodeState.NODE_STATE_READY);
  });

  it("cuts what does not end when its patience is over, and still claims what was handed over", async () => {
    await router[Symbol.asyncDispose]();
    await agent[Symbol.asyncDispose]();
    await start({ grace: { noticeMs: 0, streamsMs: 20, cutMs: 2_000, settleMs: 1_000 } });
    engines[0]!.holdAt = 5;
    const read: number[] = [];
    const reading = (async () => {
      const request = generateRequest({ baseDigest: base.digest });
      for await (const { tokenIds } of router.serverStream(NodeServiceService.generate, request)) read.push(...tokenIds);
    })();
    reading.catch(() => undefined);
    await expect.poll(() => read.length).toBe(4);
    await agent[Symbol.asyncDispose]();
    await expect(reading).rejects.toMatchObject({ code: expect.stringMatching(/unavailable|cancelled/) });
    expect(cluster.claims.at(-1)).toMatchObject({ outcome: "cancelled", usage: { completionTokens: 4 } });
  });

  it("goes on with another engine after a crash", async () => {
    engines[0]!.hold = new Promise(() => undefined);
    const running = generate();
    running.catch(() => undefined);
    await expect.poll(() => engines[0]!.running).toBe(1);
    engines[0]!.crash();
    await expect(running).rejects.toMatchObject({ reason: "engine_lost" });
    await expect.poll(() => engines.length, { timeout: 10_000 }).toBe(2);
    await expect.poll(async () => choicesOf(await generate({ delta }).catch(() => []))[0]?.tokenIds.length, { timeout: 10_000 }).toBe(12);
  });

  it("does not begin with a base that would not fit into its memory", async () => {
    const memory = { sizeBytes: 1024 ** 2, source: "--memory-mib" };
    const refused = start({ id: "node-2", cacheDirectory: join(directory, "small"), memory });
    await expect(refused).rejects.toMatchObject({
      reason: "capacity_exhausted",
      message: expect.stringMatching(/^golden would take .*weights/),
    });
    expect(engines).toEqual([]);
  });

  it("has no room and is not ready while its device is gone, and is back when the device is", async () => {
    const roomReported = () => cluster.reports.flatMap(({ bases }) => bases).at(-1)?.rowsMax;
    expect(agent.ready()).toBe(true);
    deviceGone = true;
    engines[0]!.crash("failed");
    await expect.poll(agent.ready).toBe(false);
    await expect.poll(roomReported).toBe(0);
    await expect.poll(() => registry.metrics(), { timeout: 10_000 }).toContain('losses_total{base="golden",reason="no_start"}');
    const text = await registry.metrics();
    expect(text).toContain('deltaplane_engine_losses_total{base="golden",reason="failed"} 1');
    expect(text).toContain('deltaplane_engine_info{base="golden",provider="cpu",weights="float32",device="cpu"} 0');
    deviceGone = false;
    await expect.poll(agent.ready, { timeout: 10_000 }).toBe(true);
    await expect.poll(roomReported).toBeGreaterThan(0);
    expect(choicesOf(await generate())[0]!.tokenIds).toHaveLength(12);
  });

  it("exposes its own metrics and vLLM's names", async () => {
    await generate({ delta });
    const text = await registry.metrics();
    for (const line of [
      'deltaplane_tokens_total{base="golden",kind="completion"} 12',
      'deltaplane_delta_cache_misses_total{tier="disk"} 1',
      'deltaplane_time_to_first_token_seconds_count{base="golden",residency="cold"} 1',
      "deltaplane_inter_token_seconds_count 11",
      'deltaplane_delta_load_seconds_count{tier="slot"} 1',
      'deltaplane_batch_rows{base="golden"} 0',
      'deltaplane_engine_info{base="golden",provider="cpu",weights="float32",device="cpu"} 1',
      'deltaplane_engine_memory_bytes{base="golden",term="cache"} 1024',
      'deltaplane_engine_bus_bytes_total{base="golden",direction="up"} 64',
      "deltaplane_engine_memory_limit_bytes 0",
      'vllm:generation_tokens_total{model_name="golden"} 12',
      'vllm:num_requests_waiting{model_name="golden"} 0',
      'vllm:request_success_total{model_name="golden",finished_reason="length"} 1',
      `running_lora_adapters="${delta.digest}"`,
    ])
      expect(text).toContain(line);
    expect(text).not.toContain("acme");
  });
});
