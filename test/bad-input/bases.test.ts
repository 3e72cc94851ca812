import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { FaultReason } from "#kernel";
import { ModelServiceService } from "#proto";
import { faultOf, namesOf, type SteadyCluster, startSteadyCluster } from "./steady-cluster.ts";

const SOUND = join(import.meta.dirname, "../golden/files/llama-gqa-tied/base");

let steady: SteadyCluster;
beforeAll(async () => {
  steady = await startSteadyCluster();
});
afterAll(() => steady?.[Symbol.asyncDispose]());
afterEach(() => steady.expectSteady());

/** A sound folder of a tiny base, then spoiled. */
function folder(spoil: (directory: string) => void): string {
  const directory = join(steady.cluster.home, "bad-base");
  rmSync(directory, { recursive: true, force: true });
  cpSync(SOUND, directory, { recursive: true });
  spoil(directory);
  return directory;
}

const config = (changes: Readonly<Record<string, unknown>>) => (directory: string) => {
  const file = join(directory, "config.json");
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), ...changes }));
};
const inFolder = (change: (file: string) => void, name: string) => (directory: string) => change(join(directory, name));
const without = (name: string) => inFolder((file) => rmSync(file), name);

const cases: readonly [string, (directory: string) => void, FaultReason, RegExp][] = [
  ["no config.json", without("config.json"), "file_missing", /config\.json/],
  ["no weights", without("model.safetensors"), "file_missing", /safetensors/],
  ["no tokenizer", without("tokenizer.json"), "file_missing", /tokenizer\.json/],
  [
    "weights only as a pickle",
    (directory) => renameSync(join(directory, "model.safetensors"), join(directory, "pytorch_model.bin")),
    "model_unsupported",
    /pytorch_model\.bin/,
  ],
  [
    "truncated weights",
    inFolder((file) => truncateSync(file, Math.floor(readFileSync(file).length / 2)), "model.safetensors"),
    "file_malformed",
    /model\.safetensors/,
  ],
  ["weights of no bytes", inFolder((file) => truncateSync(file, 0), "model.safetensors"), "file_malformed", /model\.safetensors/],
  ["a configuration that is no JSON", inFolder((file) => writeFileSync(file, "{"), "config.json"), "file_malformed", /config\.json/],
  ["a tokenizer that is no JSON", inFolder((file) => writeFileSync(file, "{"), "tokenizer.json"), "file_malformed", /tokenizer\.json/],
  ["an unknown architecture", config({ architectures: ["MambaForCausalLM"], model_type: "mamba" }), "model_unsupported", /Mamba/],
  [
    "an unknown rope type",
    config({ rope_scaling: { rope_type: "yarn", factor: 4 }, rope_parameters: { rope_type: "yarn", factor: 4, rope_theta: 10_000 } }),
    "model_unsupported",
    /yarn/,
  ],
  ["an unknown activation", config({ hidden_act: "swishy" }), "model_unsupported", /swishy/],
  ["a quantised base", config({ quantization_config: { quant_method: "gptq" } }), "model_unsupported", /quant/],
  ["a width that the weights do not have", config({ hidden_size: 128 }), "file_malformed", /config\.json|model\.safetensors/],
  ["a negative count of layers", config({ num_hidden_layers: -1 }), "file_malformed", /num_hidden_layers/],
  ["ten million layers", config({ num_hidden_layers: 10_000_000 }), "file_malformed", /num_hidden_layers|model\.safetensors/],
];

test.each(cases)("%s", async (_, spoil, reason, names) => {
  const directory = folder(spoil);
  const fault = await faultOf(steady.operator.unary(ModelServiceService.addBase, { name: "bad-base", directory }));
  expect([fault.reason, namesOf(fault)]).toEqual([reason, expect.stringMatching(names)]);
});

test("no folder at all", async () => {
  for (const directory of ["/no/such/folder", "/dev/null", "relative/../.."]) {
    const fault = await faultOf(steady.operator.unary(ModelServiceService.addBase, { name: "bad-base", directory }));
    expect(["file_missing", "file_malformed", "parameter_invalid"]).toContain(fault.reason);
  }
  const fault = await faultOf(steady.operator.unary(ModelServiceService.addBase, { name: "", directory: "" }));
  expect(fault.detail.field).toBe("directory");
});

test.each(["../x", "__proto__", "Upper", "a".repeat(64), "a:b"])("the name %j", async (name) => {
  const fault = await faultOf(steady.operator.unary(ModelServiceService.addBase, { name, directory: SOUND }));
  expect([fault.reason, fault.detail.field]).toEqual(["parameter_invalid", "name"]);
});

test("a name that another base has", async () => {
  const fault = await faultOf(steady.operator.unary(ModelServiceService.addBase, { name: "demo-base", directory: SOUND }));
  expect([fault.reason, namesOf(fault)]).toEqual(["resource_exists", expect.stringContaining("demo-base")]);
});

test("the command line says it in one line", () => {
  const directory = folder(config({ architectures: ["MambaForCausalLM"], model_type: "mamba" }));
  mkdirSync(directory, { recursive: true });
  try {
    steady.cluster.cli("bases", "add", directory);
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/config\.json.*Mamba/);
    expect(stderr).not.toMatch(/\n\s+at /);
    return;
  }
  expect.unreachable("it was added");
});
