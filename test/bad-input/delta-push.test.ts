import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type FaultReason, isFault } from "#kernel";
import { ModelServiceService, type PushDeltaRequest } from "#proto";
import { BAD_CONFIGS, BAD_WEIGHTS, CONFIG_FILE, WEIGHTS_FILE } from "./bad-delta.ts";
import { goodDelta, peftConfig, pushRequests, safetensors } from "./delta-folder.ts";
import { BASE, faultOf, namesOf, type SteadyCluster, startSteadyCluster } from "./steady-cluster.ts";

let steady: SteadyCluster;
beforeAll(async () => {
  steady = await startSteadyCluster();
});
afterAll(() => steady?.[Symbol.asyncDispose]());
afterEach(() => steady.expectSteady());

const pushed = (requests: AsyncIterable<PushDeltaRequest>) => steady.acme.channel.clientStream(ModelServiceService.pushDelta, requests);
const header = { base: BASE, name: "bad" };

describe("weights", () => {
  test.each(BAD_WEIGHTS)("$what", async ({ weights, config, reason, names }) => {
    const fault = await faultOf(pushed(pushRequests(header, goodDelta({ weights, ...(config && { config }) }))));
    expect([fault.reason, namesOf(fault)]).toEqual([reason, expect.stringMatching(names)]);
  });
});

describe("configuration", () => {
  test.each(BAD_CONFIGS)("$what", async ({ config, weights, reason, names }) => {
    const fault = await faultOf(pushed(pushRequests(header, goodDelta({ config, ...(weights && { weights }) }))));
    expect([fault.reason, namesOf(fault)]).toEqual([reason, expect.stringMatching(names)]);
  });
});

describe("names", () => {
  const tooLong = "a".repeat(255);
  const wrong = [
    "",
    "../x",
    "/etc/passwd",
    "a/../../b",
    "%2e%2e",
    "..\\x",
    "a\0b",
    ".",
    "Upper",
    tooLong,
    "__proto__",
    "{tag}",
    "a:b",
    "*",
  ];
  test.each([...wrong, "a\r\nb", "аpple", "x.", "x ", "-x"])("%j", async (name) => {
    const fault = await faultOf(pushed(pushRequests({ base: BASE, name }, goodDelta())));
    expect([fault.reason, fault.detail.field]).toEqual(["parameter_invalid", "name"]);
  });

  test.each(["", "no-such-base", "__proto__", "constructor", "../models"])("of the base: %j", async (base) => {
    const fault = await faultOf(pushed(pushRequests({ base, name: "bad" }, goodDelta())));
    expect(fault.reason).toBe("model_unknown");
    expect(namesOf(fault)).toContain(base);
  });

  test("of another tenant, or of one that does not exist", async () => {
    const faults = await Promise.all(
      ["globex", "nobody", "__proto__"].map((tenantId) => faultOf(pushed(pushRequests({ ...header, tenantId }, goodDelta())))),
    );
    expect(new Set(faults.map((fault) => fault.reason)).size, "they are told apart").toBe(1);
    for (const fault of faults) expect(["scope_missing", "resource_unknown", "parameter_invalid"]).toContain(fault.reason);
  });
});

describe("the upload itself", () => {
  const { config, weights } = goodDelta();
  const first: PushDeltaRequest = { part: { $case: "header", value: { ...header, tenantId: "" } } };
  const configPart: PushDeltaRequest = { part: { $case: "config", value: Buffer.from(config) } };
  const weightsPart: PushDeltaRequest = { part: { $case: "weights", value: Buffer.from(weights) } };
  const parts = [configPart, weightsPart];
  const inTurn = async function* (...requests: readonly PushDeltaRequest[]) {
    yield* requests;
  };
  const cases: readonly { what: string; requests: readonly PushDeltaRequest[]; reason: FaultReason; names: RegExp | string }[] = [
    { what: "nothing at all", requests: [], reason: "message_malformed", names: /header/ },
    { what: "weights before the header", requests: [...parts, first], reason: "message_malformed", names: /header/ },
    { what: "two headers", requests: [first, first, ...parts], reason: "message_malformed", names: /header/ },
    { what: "a part of no kind", requests: [first, { part: undefined }, ...parts], reason: "message_malformed", names: /part/ },
    { what: "only a header", requests: [first], reason: "file_missing", names: CONFIG_FILE },
    { what: "no weights", requests: [first, configPart], reason: "file_missing", names: WEIGHTS_FILE },
    { what: "no configuration", requests: [first, weightsPart], reason: "file_missing", names: CONFIG_FILE },
  ];
  test.each(cases)("$what", async ({ requests, reason, names }) => {
    const fault = await faultOf(pushed(inTurn(...requests)));
    expect([fault.reason, namesOf(fault)]).toEqual([reason, expect.stringMatching(names)]);
  });

  test.each([1, 2, 3])("cut by its client after %i messages", async (count) => {
    const cut = new AbortController();
    const requests = (async function* () {
      yield* [first, ...parts].slice(0, count);
      await expect.poll(async () => (await steady.standing()).files.some((file) => file.includes("incoming/"))).toBe(true);
      cut.abort(new Error("the client has had enough"));
      await new Promise(() => undefined);
    })();
    const uploading = steady.acme.channel.clientStream(ModelServiceService.pushDelta, requests, { signal: cut.signal });
    await expect(uploading).rejects.toThrow("had enough");
  });

  test("a message of 5 MB", async () => {
    const huge: PushDeltaRequest = { part: { $case: "weights", value: Buffer.alloc(5 << 20) } };
    const fault = await faultOf(pushed(inTurn(first, configPart, huge)));
    expect(fault.code).toBe("resource_exhausted");
  });
});

describe("the command line", () => {
  const cli = (folder: Readonly<Record<string, Uint8Array>>) => {
    const directory = join(steady.cluster.home, `folder-${Object.keys(folder).length}`);
    mkdirSync(directory, { recursive: true });
    for (const [file, bytes] of Object.entries(folder)) writeFileSync(join(directory, file), bytes);
    try {
      steady.cluster.cli("deltas", "push", directory, "--base", BASE, "--name", "bad", "--key", steady.acme.key);
    } catch (error) {
      return error as { status: number; stdout: string; stderr: string };
    }
    throw new Error("it succeeded");
  };

  test("names the file and the tensor of what it could not push", () => {
    const { status, stdout, stderr } = cli({ [CONFIG_FILE]: peftConfig(), [WEIGHTS_FILE]: safetensors().subarray(0, -100) });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/adapter_model\.safetensors.*lora_B/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test("names a pickle folder's missing safetensors file", () => {
    const { status, stderr } = cli({ [CONFIG_FILE]: peftConfig(), "adapter_model.bin": Buffer.from([0x80, 2]), note: Buffer.alloc(1) });
    expect(status).toBe(4);
    expect(stderr).toMatch(/adapter_model\.safetensors/);
  });

  test("names a missing folder", () => {
    expect(() => steady.cluster.cli("deltas", "push", "/no/such/folder", "--base", BASE, "--name", "bad")).toThrow(/adapter_config\.json/);
  });
});

test("what was refused can be pushed once it is right, and is gone after its removal", async () => {
  const { delta, alias } = await pushed(pushRequests({ base: BASE, name: "late" }, goodDelta({ config: peftConfig({ lora_alpha: 16 }) })));
  expect(alias).toBe("acme/late");
  expect(execFileSync("ls", [join(steady.cluster.home, "router/deltas")], { encoding: "utf8" })).toContain(delta!.reference!.digest);
  const inUse = await faultOf(steady.acme.channel.unary(ModelServiceService.removeDelta, { name: delta!.name }));
  expect(isFault(inUse, "resource_in_use")).toBe(true);
  await steady.acme.channel.unary(ModelServiceService.removeAlias, { name: alias });
  await steady.acme.channel.unary(ModelServiceService.removeDelta, { name: delta!.name });
});
