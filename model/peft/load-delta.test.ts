import { appendFile, mkdtemp, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { asBaseDigest, asTenantId, deltaDigest, type FaultReason, isFault } from "#kernel";
import type { BaseInfo } from "../base.ts";
import { openCheckpoint } from "../checkpoint/index.ts";
import { TINY_CONFIGS, writeTinyCheckpoint } from "../checkpoint/testing/tiny-checkpoint.ts";
import type { TensorToWrite } from "../safetensors/index.ts";
import { inspectDelta, loadDelta } from "./load-delta.ts";
import { tinyConfig, tinyPairs, writeTinyDelta } from "./testing/tiny-delta.ts";

const RUNS = Number(process.env["DELTAPLANE_FUZZ"] ?? 300);
vi.setConfig({ testTimeout: 5000 + 20 * RUNS });
let llama: BaseInfo;
let gpt2: BaseInfo;

const newFolder = () => mkdtemp(path.join(tmpdir(), "delta-"));

beforeAll(async () => {
  const open = async (architecture: "llama" | "gpt2") => {
    const directory = await newFolder();
    await writeTinyCheckpoint(directory, TINY_CONFIGS[architecture]);
    return (await openCheckpoint(directory)).info;
  };
  [llama, gpt2] = [await open("llama"), await open("gpt2")];
});

async function load(config?: Record<string, unknown> | string, tensors?: readonly TensorToWrite[] | Uint8Array, base = llama) {
  const directory = await newFolder();
  return loadDelta(directory, await writeTinyDelta(directory, base, config, tensors), base);
}

const refusal = (reason: FaultReason) => expect.objectContaining({ name: "Fault", reason });
const sitesOf = (layers: readonly { site: string }[]) => layers.map(({ site }) => site);

describe("a good delta", () => {
  test("has A as stored, and B transposed and scaled", async () => {
    const tensors = tinyPairs(llama, ["layers.0.self_attn.v_proj"], 4);
    const delta = await load(tinyConfig({ target_modules: ["model.layers.0.self_attn.v_proj"] }), tensors);
    const [stored, storedB] = tensors.map(({ data }) => data as Float32Array);
    const [layer] = delta.layers;
    expect(layer?.site).toBe("layers.0.v");
    expect(layer?.a).toEqual(stored);
    for (let rank = 0; rank < 4; rank++)
      for (let out = 0; out < 8; out++) expect(layer?.b[rank * 8 + out]).toBe(storedB![out * 4 + rank]! * 2);
    expect(delta).toMatchObject({ rank: 4, sizeBytes: 4 * (4 * 16 + 4 * 8) });
  });

  test.each(["F32", "F16"] as const)("has the values of every layer to the bit, whatever the others are (%s)", async (type) => {
    const sizes = new Map(llama.linears.map(({ site, inputSize, outputSize }) => [site, { inputSize, outputSize }]));
    const tensors = tinyPairs(llama).map(({ data, ...tensor }) => ({
      ...tensor,
      type,
      data: type === "F16" ? new Float16Array(data as Float32Array) : (data as Float32Array<ArrayBuffer>).slice(),
    }));
    const { layers } = await load(tinyConfig(), tensors);
    expect(2 * layers.length).toBe(tensors.length);
    for (const [index, { site, rank, a, b }] of layers.entries()) {
      const { outputSize } = sizes.get(site)!;
      const storedB = tensors[2 * index + 1]!.data;
      const turned = Array.from(
        { length: rank * outputSize },
        (_, at) => storedB[(at % outputSize) * rank + Math.floor(at / outputSize)]! * 2,
      );
      expect(a).toEqual(new Float32Array(tensors[2 * index]!.data));
      expect(b).toEqual(new Float32Array(turned));
    }
  });

  test("comes in half types too", async () => {
    const tensors = tinyPairs(llama).map((tensor) => ({
      ...tensor,
      type: "F16" as const,
      data: new Float16Array(tensor.data as Float32Array),
    }));
    const [layer] = (await load(tinyConfig(), tensors)).layers;
    expect(layer?.a).toEqual(new Float32Array(tensors[0]!.data));
  });

  test("scales by alpha/r, or alpha/√r for rsLoRA", async () => {
    const first = async (changes: Record<string, unknown>) => (await load(tinyConfig(changes))).layers[0]!.b[0]!;
    const one = await first({ lora_alpha: 4 });
    expect(await first({ lora_alpha: 10 })).toBeCloseTo(one * 2.5, 6);
    expect(await first({ lora_alpha: 4, use_rslora: true })).toBeCloseTo(one * 2, 6);
    expect(await first({ lora_alpha: 4, alpha_pattern: { "layers.0.self_attn.q_proj": 12 } })).toBeCloseTo(one * 3, 6);
  });

  test("may have another rank and alpha at every linear; the first pattern that matches counts", async () => {
    const tensors = [
      ...tinyPairs(llama, ["q_proj"], 2),
      ...tinyPairs(llama, ["layers.0.mlp.down_proj"], 8),
      ...tinyPairs(llama, ["layers.1.mlp.down_proj"], 3),
    ];
    const config = {
      target_modules: ["q_proj", "down_proj"],
      r: 3,
      rank_pattern: { "self_attn\\.q_proj": 2, "layers.0.mlp.down_proj": 8, down_proj: 3 },
    };
    const delta = await load(tinyConfig(config), tensors);
    expect(delta.layers.map(({ site, rank }) => [site, rank])).toEqual([
      ["layers.0.q", 2],
      ["layers.0.down", 8],
      ["layers.1.q", 2],
      ["layers.1.down", 3],
    ]);
    expect(delta.rank).toBe(8);
  });

  test.each<[string, Record<string, unknown>, string[], string[]]>([
    ["a list", { target_modules: ["k_proj"] }, ["k_proj"], ["layers.0.k", "layers.1.k"]],
    ["whole paths", { target_modules: ["model.layers.1.mlp.up_proj"] }, ["1.mlp.up_proj"], ["layers.1.up"]],
    ["a pattern", { target_modules: String.raw`model\.layers\.0\..*_(up|gate)?.*(up|gate)_proj` }, [], []],
    [
      "another pattern",
      { target_modules: String.raw`.*\.0\.mlp\.(up|gate)_proj` },
      ["0.mlp.up_proj", "0.mlp.gate_proj"],
      ["layers.0.gate", "layers.0.up"],
    ],
    ["layers", { target_modules: ["o_proj"], layers_to_transform: [1] }, ["1.self_attn.o_proj"], ["layers.1.o"]],
    [
      "one layer of a named list",
      { target_modules: ["o_proj"], layers_to_transform: 0, layers_pattern: "layers" },
      ["0.self_attn.o_proj"],
      ["layers.0.o"],
    ],
    [
      "excluded modules",
      { target_modules: ["o_proj"], exclude_modules: ["layers.0.self_attn.o_proj"] },
      ["1.self_attn.o_proj"],
      ["layers.1.o"],
    ],
    ["an excluding pattern", { target_modules: ["o_proj"], exclude_modules: ".*1.*" }, ["0.self_attn.o_proj"], ["layers.0.o"]],
    ["names that the base lacks", { target_modules: ["o_proj", "c_attn"] }, ["o_proj"], ["layers.0.o", "layers.1.o"]],
  ])("targets by %s", async (_, changes, ends, sites) => {
    if (sites.length === 0) await expect(load(tinyConfig(changes), [])).rejects.toEqual(refusal("delta_base_mismatch"));
    else expect(sitesOf((await load(tinyConfig(changes), tinyPairs(llama, ends))).layers)).toEqual(sites);
  });

  test("targets all linears, of GPT-2 as well", async () => {
    const delta = await load(tinyConfig({ target_modules: "all-linear", fan_in_fan_out: true }), tinyPairs(gpt2, [""]), gpt2);
    expect(sitesOf(delta.layers)).toEqual(gpt2.linears.map(({ site }) => site));
    expect(delta.layers[0]!.b.length).toBe(4 * 48);
  });

  test("may have rank 512, and ignores what only training needs", async () => {
    const ignored = {
      lora_dropout: 0.1,
      base_model_name_or_path: "elsewhere",
      task_type: "CAUSAL_LM",
      init_lora_weights: "gaussian",
      loftq_config: { bits: 4 },
    };
    expect((await load(tinyConfig({ r: 512, ...ignored }), tinyPairs(llama, ["q_proj", "v_proj"], 512))).rank).toBe(512);
  });

  test("is inspected without being kept, and the digest follows from what the inspection says", async () => {
    const directory = await newFolder();
    const reference = await writeTinyDelta(directory, llama);
    const { configSha256, weightsSha256, ...rest } = await inspectDelta(directory, llama);
    const loaded = await loadDelta(directory, reference, llama);
    expect(rest).toEqual({ rank: 4, sizeBytes: loaded.sizeBytes, sites: sitesOf(loaded.layers) });
    expect(deltaDigest({ ...reference, configSha256, weightsSha256 })).toBe(reference.digest);
  });

  test("lies in the memory that its file was read into, which is nobody else's and can be transferred", async () => {
    const { layers, sizeBytes } = await load();
    const [buffer, ...others] = new Set(layers.flatMap(({ a, b }) => [a.buffer, b.buffer]));
    expect(others).toEqual([]);
    expect(buffer!.byteLength - sizeBytes).toBeLessThan(sizeBytes); // The rest is the file's header.
    const transferred = structuredClone(layers, { transfer: [buffer!] });
    expect(layers[0]!.a.length).toBe(0);
    expect(transferred).toEqual((await load()).layers);
  });

  test("has the same values to the bit where the file's values are not aligned, and have to be copied", async () => {
    const directory = await newFolder();
    await writeTinyDelta(directory, llama);
    const file = path.join(directory, "adapter_model.safetensors");
    const content = await readFile(file);
    const header = content.subarray(8, 8 + Number(content.readBigUInt64LE())).toString();
    const longer = Buffer.from(`${header} `);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(longer.length));
    await writeFile(file, Buffer.concat([length, longer, content.subarray(8 + Buffer.byteLength(header))]));
    const identity = { tenantId: asTenantId("t"), baseDigest: llama.digest };
    const digest = deltaDigest({ ...identity, ...(await inspectDelta(directory, llama)) });
    expect((await loadDelta(directory, { ...identity, digest }, llama)).layers).toEqual((await load()).layers);
  });
});

describe("a variant that we do not compute is refused by name", () => {
  test.each<[Record<string, unknown>, string]>([
    [{ peft_type: "IA3" }, 'peft_type: "IA3"'],
    [{ peft_type: undefined }, "peft_type: nothing"],
    [{ use_dora: true }, "use_dora: DoRA"],
    [{ modules_to_save: ["lm_head"] }, "modules_to_save"],
    [{ bias: "all" }, 'bias: trained biases ("all")'],
    [{ bias: "lora_only" }, "bias"],
    [{ lora_bias: true }, "lora_bias"],
    [{ layer_replication: [[0, 2]] }, "layer_replication"],
    [{ target_parameters: ["experts.w1"] }, "target_parameters"],
    [{ trainable_token_indices: { embed_tokens: [1] } }, "trainable_token_indices"],
    [{ use_qalora: true }, "use_qalora: QALoRA"],
    [{ use_bdlora: { nblocks: 2 } }, "use_bdlora"],
    [{ arrow_config: { top_k: 2 } }, "arrow_config"],
    [{ kasa_config: { beta: 1 } }, "kasa_config"],
    [{ velora_config: { num_groups: 2 } }, "velora_config"],
    [{ monteclora_config: { buffer_size: 2 } }, "monteclora_config"],
    [{ alora_invocation_tokens: [1, 2] }, "alora_invocation_tokens"],
    [{ megatron_config: { a: 1 } }, "megatron_config"],
    [{ use_something_new: true }, "use_something_new: unknown setting true"],
    [{ init_lora_weights: "pissa" }, 'init_lora_weights: "pissa" changes the base'],
    [{ init_lora_weights: "pissa_niter_4" }, 'init_lora_weights: "pissa_niter_4"'],
    [{ init_lora_weights: "olora" }, 'init_lora_weights: "olora"'],
    [{ init_lora_weights: "corda" }, 'init_lora_weights: "corda"'],
    [{ init_lora_weights: "loftq" }, 'init_lora_weights: "loftq"'],
  ])("%j", async (changes, named) => {
    const loading = load(tinyConfig(changes));
    await expect(loading).rejects.toEqual(refusal("model_unsupported"));
    await expect(loading).rejects.toThrow(`adapter_config.json: ${named}`);
  });
});

describe("a wrong configuration is refused by field", () => {
  test.each<[Record<string, unknown> | string, string]>([
    [{ r: 0 }, "r: "],
    [{ r: 513 }, "r: "],
    [{ r: 4.5 }, "r: "],
    [{ r: "4" }, "r: "],
    [{ lora_alpha: 0 }, "lora_alpha"],
    [{ lora_alpha: -8 }, "lora_alpha"],
    [{ lora_alpha: 1e30 }, "lora_alpha"],
    [{ target_modules: null }, "target_modules: is missing"],
    [{ target_modules: [1] }, "target_modules"],
    [{ target_modules: "(?=a)" }, "target_modules: the pattern"],
    [{ rank_pattern: { q_proj: 1000 } }, "rank_pattern.q_proj"],
    [{ rank_pattern: { "(q": 2 } }, "rank_pattern: the pattern"],
    [{ alpha_pattern: { q_proj: 0 } }, "alpha_pattern.q_proj"],
    [{ target_modules: ".*", layers_to_transform: [0] }, "layers_to_transform"],
    [{ layers_to_transform: [0], layers_pattern: "l.*" }, "layers_pattern"],
    ['{"peft_type":"LORA","peft_type":"LORA"}', "occurs twice"],
    ['{"peft_type":"LORA","lora_alpha":NaN}', "not valid JSON"],
    ['{"peft_type":"LORA","lora_alpha":1e999}', "out of range"],
    ["[]", "not a JSON object"],
    ["", "not valid JSON"],
  ])("%j", async (config, named) => {
    const loading = load(typeof config === "string" ? config : tinyConfig(config));
    await expect(loading).rejects.toEqual(refusal("file_malformed"));
    await expect(loading).rejects.toThrow(named);
    await expect(loading).rejects.toThrow("adapter_config.json");
  });

  test("larger than a configuration can be", async () => {
    await expect(load(`{"a":"${"x".repeat(2 ** 20)}"}`)).rejects.toThrow(
      "adapter_config.json: 1048584 bytes, more than the 1048576 accepted",
    );
  });
});

describe("wrong weights are refused by tensor", () => {
  const name = "base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight";
  const edit = (change: (tensor: TensorToWrite) => TensorToWrite | undefined) => () =>
    tinyPairs(llama).flatMap((tensor) => (tensor.name === name ? (change(tensor) ?? []) : tensor));
  const extra = (other: string) => () => [
    ...tinyPairs(llama),
    { name: other, type: "F32" as const, shape: [1], data: new Float32Array(1) },
  ];
  const values = (type: "F32" | "BF16", data: ArrayBufferView) => edit((tensor) => ({ ...tensor, type, data }));

  test.each<[string, () => TensorToWrite[], FaultReason, string]>([
    ["a pair without its A", edit(() => undefined), "file_malformed", `tensor ${name}: is missing`],
    [
      "another rank than announced",
      edit((tensor) => ({ ...tensor, shape: [2, 16], data: new Float32Array(32) })),
      "delta_base_mismatch",
      "[2,16]; by base and configuration it is [4,16]",
    ],
    [
      "the width of another base",
      edit((tensor) => ({ ...tensor, shape: [4, 32], data: new Float32Array(128) })),
      "delta_base_mismatch",
      `tensor ${name}: has the shape [4,32]`,
    ],
    ["A transposed", edit((tensor) => ({ ...tensor, shape: [16, 4] })), "delta_base_mismatch", "[16,4]"],
    ["double precision", edit((tensor) => ({ ...tensor, type: "F64", data: new Float64Array(64) })), "model_unsupported", "type F64"],
    [
      "NaN",
      values("F32", new Float32Array(64).fill(Number.NaN, 7, 8)),
      "weights_not_finite",
      `tensor ${name}: NaN or an infinity at value 7`,
    ],
    ["an infinity in bfloat16", values("BF16", new Uint16Array(64).fill(0x7f80, 0, 1)), "weights_not_finite", "at value 0"],
    ["values that would overflow", values("F32", new Float32Array(64).fill(3e38, 9, 10)), "file_malformed", "beyond ±10000"],
    [
      "a layer that is not targeted",
      () => [...tinyPairs(llama), ...tinyPairs(llama, ["layers.0.mlp.up_proj"])],
      "file_malformed",
      "does not target this layer",
    ],
    [
      "a layer that the base lacks",
      extra("base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight"),
      "delta_base_mismatch",
      "no such linear layer",
    ],
    ["a layer of another family", extra("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"), "delta_base_mismatch", "c_attn"],
    ["an output layer", extra("base_model.model.lm_head.lora_A.weight"), "model_unsupported", "output layer"],
    ["embeddings", extra("base_model.model.model.embed_tokens.lora_embedding_A"), "model_unsupported", "embeddings"],
    ["DoRA", extra("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"), "model_unsupported", "DoRA"],
    ["a saved module", extra("base_model.model.lm_head.modules_to_save.weight"), "model_unsupported", "lm_head"],
    ["a bias", extra("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias"), "model_unsupported", "bias"],
    [
      "a name of an adapter in it",
      extra("base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"),
      "file_malformed",
      "not a name that PEFT gives",
    ],
    ["anything else", extra("__proto__"), "file_malformed", "tensor __proto__"],
  ])("%s", async (_, tensors, reason, why) => {
    const loading = load(tinyConfig(), tensors());
    await expect(loading).rejects.toEqual(refusal(reason));
    await expect(loading).rejects.toThrow("adapter_model.safetensors");
    await expect(loading).rejects.toThrow(why);
  });

  test("more bytes than any delta of the base can have, before they are read", async () => {
    await expect(load(tinyConfig(), new Uint8Array(4 * 2 ** 20))).rejects.toThrow(/adapter_model.safetensors: 4194304 bytes, more than/);
  });
});

describe("the folder", () => {
  test("must be the one that the digest was made of", async () => {
    const directory = await newFolder();
    const reference = await writeTinyDelta(directory, llama);
    await expect(loadDelta(directory, { ...reference, tenantId: asTenantId("other") }, llama)).rejects.toEqual(
      refusal("checksum_mismatch"),
    );
    await appendFile(path.join(directory, "adapter_config.json"), "\n");
    await expect(loadDelta(directory, reference, llama)).rejects.toEqual(refusal("checksum_mismatch"));
    expect((await loadDelta(directory, reference, llama, { verify: false })).rank).toBe(4);
  });

  test("must belong to the base", async () => {
    const directory = await newFolder();
    const reference = await writeTinyDelta(directory, llama);
    const foreign = { ...reference, baseDigest: asBaseDigest("0".repeat(64)) };
    await expect(loadDelta(directory, foreign, llama)).rejects.toEqual(refusal("delta_base_mismatch"));
  });

  test("must not be pickle, links or half a delta", async () => {
    const directory = await newFolder();
    const reference = await writeTinyDelta(directory, llama);
    const weights = path.join(directory, "adapter_model.safetensors");
    const pickle = path.join(directory, "adapter_model.bin");
    await rename(weights, pickle);
    await expect(loadDelta(directory, reference, llama)).rejects.toThrow("adapter_model.bin: a pickle");
    await symlink(pickle, weights);
    await expect(loadDelta(directory, reference, llama)).rejects.toThrow("adapter_model.safetensors: a symbolic link");
    expect((await inspectDelta(directory, llama, { limits: { links: "follow" } })).rank).toBe(4);
    await expect(inspectDelta(await newFolder(), llama)).rejects.toThrow("adapter_config.json: no such file");
  });

  test("may be limited to a lower rank", async () => {
    const directory = await newFolder();
    await writeTinyDelta(directory, llama);
    await expect(inspectDelta(directory, llama, { limits: { rankMax: 3 } })).rejects.toThrow("rank 4 at model.layers.0.self_attn.q_proj");
  });
});

test("any mutation of its files is loaded or refused by a fault, never anything else", async () => {
  const directory = await newFolder();
  await writeTinyDelta(directory, llama, tinyConfig({ rank_pattern: { "q_pro.": 4 } }));
  const files = ["adapter_config.json", "adapter_model.safetensors"].map((name) => path.join(directory, name));
  const originals = await Promise.all(files.map((file) => readFile(file)));
  const edits = fc.array(fc.record({ at: fc.nat(), value: fc.nat(255), cut: fc.boolean() }), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(fc.nat(1), edits, async (which, list) => {
      let bytes = Buffer.from(originals[which]!);
      for (const { at, value, cut } of list) {
        // Half of the positions fall into the header, where most of what can go wrong is decided.
        const place = at % (at % 2 === 0 ? Math.min(600, bytes.length) : bytes.length);
        bytes[place] = value;
        if (cut && value < 16) bytes = bytes.subarray(0, Math.max(1, place));
      }
      await writeFile(files[which]!, bytes);
      await writeFile(files[1 - which]!, originals[1 - which]!);
      try {
        const { sites } = await inspectDelta(directory, llama);
        expect(sites.length).toBeGreaterThan(0);
      } catch (error) {
        if (!isFault(error) || error.reason === "bug") throw error;
      }
    }),
    { numRuns: RUNS },
  );
});
