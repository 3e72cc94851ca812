import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asDeltaDigest, Fault, sha256Hex, systemClock } from "#kernel";
import { type Delta, GenerateRequest, type GrpcChannel, InferenceServiceService, ModelServiceService, type PushDeltaRequest } from "#proto";
import { BASE_DIGEST, BASE_NAME, nodeView, snapshotOf } from "../testing/cluster-of.ts";
import { CLUSTER_KEY, type RouterUnderTest, runRouter } from "../testing/running-router.ts";
import { type ScriptedNode, scriptedNode } from "../testing/scripted-node.ts";

let node: ScriptedNode;
let under: RouterUnderTest;
let acme: GrpcChannel;
let zeta: GrpcChannel;

beforeEach(async () => {
  node = scriptedNode();
  under = await runRouter({ a: node }, { deltaFileLimits: { config: 100, weights: 1000 } });
  acme = under.channel((await under.tenantKey("acme")).text);
  zeta = under.channel((await under.tenantKey("zeta")).text);
});
afterEach(() => under[Symbol.asyncDispose]());

interface Upload {
  readonly base?: string;
  readonly name?: string;
  readonly tenantId?: string;
  readonly config?: string;
  readonly weights?: string;
}

async function* upload({
  base = BASE_NAME,
  name = "tax",
  tenantId = "",
  config = "{}",
  weights = "weights",
}: Upload): AsyncGenerator<PushDeltaRequest> {
  yield { part: { $case: "header", value: { base, name, tenantId } } };
  yield { part: { $case: "config", value: Buffer.from(config) } };
  for (const piece of weights.match(/.{1,3}/gs) ?? []) yield { part: { $case: "weights", value: Buffer.from(piece) } };
}

async function push(channel: GrpcChannel, what: Upload = {}): Promise<Delta> {
  return (await channel.clientStream(ModelServiceService.pushDelta, upload(what))).delta!;
}

async function faultOf(answer: Promise<unknown>): Promise<Fault> {
  return answer.then(
    () => expect.unreachable("no fault"),
    (error: unknown) => error as Fault,
  );
}

async function modelServed(channel: GrpcChannel, model: string): Promise<string | undefined> {
  const prompt = { kind: { $case: "text" as const, value: "hello" } };
  const wish = GenerateRequest.fromPartial({ model, prompt, sampling: { maxTokens: 2 } });
  return (await Array.fromAsync(channel.serverStream(InferenceServiceService.generate, wish))).at(-1)?.model;
}

const namesOf = async (channel: GrpcChannel) => (await channel.unary(ModelServiceService.listModels, {})).models.map((model) => model.name);

describe("a delta that was pushed", () => {
  test("is checked by a node, callable by its full name and its alias, and listed", async () => {
    const { delta, alias } = await acme.clientStream(ModelServiceService.pushDelta, upload({}));
    expect(delta).toMatchObject({ suffix: "tax", rank: 8, targets: ["self_attn.q_proj"], base: BASE_NAME });
    expect(delta!.name).toBe(`ft:demo-base:acme:tax:${delta!.reference!.digest.slice(0, 8)}`);
    expect(alias).toBe("acme/tax");
    expect(node.inspected).toEqual([{ delta: delta!.reference }]);
    expect(await modelServed(acme, delta!.name)).toBe(delta!.name);
    expect(await modelServed(acme, "acme/tax")).toBe(delta!.name);
    expect(node.generated.at(-1)).toMatchObject({ tenantId: "acme", baseDigest: BASE_DIGEST, delta: delta!.reference });
    expect(await namesOf(acme)).toEqual([BASE_NAME, delta!.name, "acme/tax"]);
    expect(await acme.unary(ModelServiceService.getModel, { name: "acme/tax" })).toMatchObject({
      model: { root: delta!.name, owner: "acme" },
    });
    await expect.poll(() => node.attached.length).toBe(1);
  });

  test("can be downloaded by nodes, byte for byte", async () => {
    const weights = "w".repeat(999);
    const { reference } = await push(acme, { weights });
    const parts = await Array.fromAsync(under.channel(CLUSTER_KEY).serverStream(ModelServiceService.downloadDelta, { delta: reference }));
    const content = (file: string) => Buffer.concat(parts.flatMap(({ part }) => (part?.$case === file ? [part.value] : []))).toString();
    expect(content("config")).toBe("{}");
    expect(content("weights")).toBe(weights);
  });

  test("is the same delta when its content comes again, and another one when it differs by a byte or a tenant", async () => {
    const first = await push(acme);
    expect((await push(acme)).reference).toEqual(first.reference);
    expect(node.inspected.length).toBe(1);
    expect((await push(acme, { weights: "weightz" })).reference?.digest).not.toBe(first.reference?.digest);
    expect((await push(zeta)).reference?.digest).not.toBe(first.reference?.digest);
  });

  test("has its files again when they were lost or damaged and its content comes again", async () => {
    const { digest } = (await push(acme)).reference!;
    const folder = join(under.dataDirectory, "deltas", digest);
    const config = join(folder, "adapter_config.json");
    const weights = join(folder, "adapter_model.safetensors");
    await rm(config);
    await writeFile(weights, "wei");
    expect((await push(acme)).reference?.digest).toBe(digest);
    expect([await readFile(config, "utf8"), await readFile(weights, "utf8")]).toEqual(["{}", "weights"]);
  });

  test("belongs to its tenant alone", async () => {
    const { name, reference } = await push(acme);
    const prompt = { kind: { $case: "text" as const, value: "hello" } };
    const ask = (model: string) => faultOf(zeta.unary(InferenceServiceService.countTokens, { model, prompt }));
    for (const foreign of [name, "acme/tax"]) {
      const unknown = `ft:demo-base:acme:tax:${"0".repeat(8)}`;
      const [one, other] = [await ask(foreign), await ask(unknown)];
      expect(one.message.replace(foreign, "…")).toBe(other.message.replace(unknown, "…"));
      expect([one.code, one.reason]).toEqual([other.code, other.reason]);
    }
    expect(await namesOf(zeta)).toEqual([BASE_NAME]);
    const { digest } = reference!;
    expect(await faultOf(zeta.unary(ModelServiceService.getDelta, { name: digest }))).toMatchObject({ reason: "model_unknown" });
    expect(await faultOf(zeta.unary(ModelServiceService.removeDelta, { name: digest }))).toMatchObject({ reason: "model_unknown" });
    expect(await faultOf(zeta.unary(ModelServiceService.removeAlias, { name: "acme/tax" }))).toMatchObject({ reason: "resource_unknown" });
    expect(await faultOf(push(zeta, { tenantId: "acme" }))).toMatchObject({ reason: "resource_unknown" });
  });

  test("goes when nothing points at it, from the nodes too", async () => {
    const { name, reference } = await push(acme);
    expect(await faultOf(acme.unary(ModelServiceService.removeDelta, { name }))).toMatchObject({
      reason: "resource_in_use",
      detail: { resource: "acme/tax" },
    });
    await acme.unary(ModelServiceService.removeAlias, { name: "acme/tax" });
    const digest = asDeltaDigest(reference!.digest);
    const view = nodeView("a");
    const residency = {
      tier: "ram",
      state: "ready",
      tenantId: "acme",
      baseDigest: BASE_DIGEST,
      rank: 8,
      sizeBytes: 1,
      references: 0,
      pinned: false,
    };
    under.cluster.set(snapshotOf([{ ...view, deltas: new Map([[digest, residency as never]]) }]));
    await acme.unary(ModelServiceService.removeDelta, { name });
    expect(await namesOf(acme)).toEqual([BASE_NAME]);
    expect(await faultOf(modelServed(acme, name))).toMatchObject({ reason: "model_unknown" });
    await expect.poll(() => node.detached.length).toBe(1);
    const download = under.channel(CLUSTER_KEY).serverStream(ModelServiceService.downloadDelta, { delta: reference });
    expect(await faultOf(Array.fromAsync(download))).toMatchObject({ reason: "resource_unknown" });
  });

  test("goes from a node that no snapshot shows with it yet", async () => {
    const { name, reference } = await push(acme);
    await acme.unary(ModelServiceService.removeAlias, { name: "acme/tax" });
    await acme.unary(ModelServiceService.removeDelta, { name });
    await expect.poll(() => node.detached.map(({ delta }) => delta?.digest)).toEqual([reference!.digest]);
  });

  test("is pinned on a node and stays pinned in the record", async () => {
    const { name } = await push(acme);
    expect((await acme.unary(ModelServiceService.pinDelta, { name, pinned: true })).delta?.pinned).toBe(true);
    expect(node.attached.at(-1)?.pinned).toBe(true);
    expect((await acme.unary(ModelServiceService.getDelta, { name })).delta?.pinned).toBe(true);
    expect((await acme.unary(ModelServiceService.pinDelta, { name, pinned: false })).delta?.pinned).toBe(false);
    expect(node.attached.at(-1)?.pinned).toBe(false);
  });
});

describe("an upload that fails leaves nothing", () => {
  test.each<[string, string, Upload]>([
    ["message_too_large", "adapter_config.json", { config: "x".repeat(101) }],
    ["message_too_large", "adapter_model.safetensors", { weights: "x".repeat(1001) }],
    ["file_missing", "adapter_model.safetensors", { weights: "" }],
    ["file_missing", "adapter_config.json", { config: "" }],
  ])("%s: %s", async (reason, file, what) => {
    expect(await faultOf(push(acme, what))).toMatchObject({ reason, detail: { file } });
    expect(await namesOf(acme)).toEqual([BASE_NAME]);
  });

  test("what a node refuses", async () => {
    const refusal = new Fault("delta_base_mismatch", "q_proj has 8 rows, not 16", { detail: { file: "adapter_model.safetensors" } });
    await using refusing = await runRouter({ a: scriptedNode({ inspection: () => Promise.reject(refusal) }) });
    const channel = refusing.channel((await refusing.tenantKey("acme")).text);
    expect(await faultOf(push(channel))).toMatchObject({ reason: "delta_base_mismatch", message: refusal.message, detail: refusal.detail });
    expect(await namesOf(channel)).toEqual([BASE_NAME]);
    expect((await channel.unary(ModelServiceService.listDeltas, { tenantId: "" })).deltas).toEqual([]);
  });

  test.each<[string, Upload]>([
    ["parameter_invalid", { name: "../x" }],
    ["parameter_invalid", { name: "Tax" }],
    ["model_unknown", { base: "nothing" }],
  ])("%s: %j", async (reason, what) => {
    expect(await faultOf(push(acme, what))).toMatchObject({ reason });
  });

  test("what its client breaks off", async () => {
    // The end of the pieces comes before the news that the client has left: a node would find the weights cut short.
    await using slow = await runRouter({ a: scriptedNode({ inspection: (signal) => systemClock.after(1000, signal) }) });
    const channel = slow.channel((await slow.tenantKey("acme")).text);
    const uploads = () => readdir(join(slow.dataDirectory, ".incoming"));
    const broken = (async function* (): AsyncGenerator<PushDeltaRequest> {
      yield* upload({ weights: "only half of" });
      await expect.poll(uploads).toHaveLength(2);
      throw new Error("left");
    })();
    await expect(channel.clientStream(ModelServiceService.pushDelta, broken)).rejects.toThrow("left");
    await expect.poll(uploads).toEqual([]);
    expect(await readdir(slow.dataDirectory)).not.toContain("deltas");
    expect(await namesOf(channel)).toEqual([BASE_NAME]);
  });

  test("what does not begin with its header", async () => {
    const headless = (async function* (): AsyncGenerator<PushDeltaRequest> {
      yield { part: { $case: "config", value: Buffer.from("{}") } };
    })();
    expect(await faultOf(acme.clientStream(ModelServiceService.pushDelta, headless))).toMatchObject({ reason: "message_malformed" });
  });
});

describe("an alias", () => {
  test("splits traffic by weight", async () => {
    const [one, other] = [await push(acme, { name: "one", weights: "1" }), await push(acme, { name: "other", weights: "2" })];
    const targets = [
      { delta: one.name, weight: 3 },
      { delta: other.name, weight: 1 },
    ];
    const { alias } = await acme.unary(ModelServiceService.setAlias, { alias: { name: "acme/split", targets, previous: [] } });
    expect(alias).toEqual({ name: "acme/split", targets, previous: [] });
    const served = await Promise.all(Array.from({ length: 60 }, () => modelServed(acme, "acme/split")));
    const share = served.filter((model) => model === one.name).length / served.length;
    expect(share).toBeGreaterThan(0.5);
    expect(share).toBeLessThan(1);
    expect((await acme.unary(ModelServiceService.listAliases, {})).aliases.map(({ name }) => name).sort()).toEqual([
      "acme/one",
      "acme/other",
      "acme/split",
    ]);
    expect(await acme.unary(ModelServiceService.getModel, { name: "acme/split" })).toMatchObject({ model: { root: "" } });
  });

  test.each<[string, string, string, readonly { delta: string; weight: number }[]]>([
    ["name", "parameter_invalid", "acme", [{ delta: "x", weight: 1 }]],
    ["name", "parameter_invalid", "acme/A", [{ delta: "x", weight: 1 }]],
    ["targets", "parameter_invalid", "acme/a", []],
    ["targets[0].delta", "model_unknown", "acme/a", [{ delta: sha256Hex("none"), weight: 1 }]],
  ])("at fault in %s is refused (%s)", async (field, reason, name, targets) => {
    expect(await faultOf(acme.unary(ModelServiceService.setAlias, { alias: { name, targets: [...targets], previous: [] } }))).toMatchObject(
      {
        reason,
        detail: { field },
      },
    );
  });

  test("never points at someone else's delta", async () => {
    const { name } = await push(acme);
    const alias = { name: "zeta/mine", targets: [{ delta: name, weight: 1 }], previous: [] };
    expect(await faultOf(zeta.unary(ModelServiceService.setAlias, { alias }))).toMatchObject({ reason: "model_unknown" });
    expect(await faultOf(under.operator.unary(ModelServiceService.setAlias, { alias }))).toMatchObject({ reason: "model_unknown" });
  });
});

describe("a base", () => {
  test("is loaded on the nodes and registered, once", async () => {
    const { base } = await under.operator.unary(ModelServiceService.addBase, { name: "", directory: "/models/other" });
    expect(base).toMatchObject({ name: "other", digest: sha256Hex("/models/other"), directory: "/models/other" });
    expect((await under.operator.unary(ModelServiceService.addBase, { name: "other", directory: "/models/other" })).base).toEqual(base);
    expect(await faultOf(under.operator.unary(ModelServiceService.addBase, { name: "other", directory: "/models/changed" }))).toMatchObject(
      {
        reason: "resource_exists",
      },
    );
    expect(await namesOf(acme)).toEqual([BASE_NAME, "other"]);
    expect((await acme.unary(ModelServiceService.listBases, {})).bases.map(({ directory }) => directory)).toEqual(["", ""]);
    await under.operator.unary(ModelServiceService.removeBase, { name: "other" });
    expect(await namesOf(acme)).toEqual([BASE_NAME]);
  });
});
