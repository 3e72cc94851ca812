import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { FaultReason } from "#kernel";
import type { Architecture } from "../base.ts";
import type { JsonObject } from "../files/index.ts";
import { type TensorToWrite, writeSafetensors } from "../safetensors/index.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { TINY_CONFIGS, tinyTensors, writeTinyCheckpoint } from "./testing/tiny-checkpoint.ts";

const newFolder = () => mkdtemp(path.join(tmpdir(), "checkpoint-"));

async function open(config: JsonObject, tensors?: readonly TensorToWrite[]) {
  const directory = await newFolder();
  await writeTinyCheckpoint(directory, config, tensors);
  return openCheckpoint(directory, { name: "tiny" });
}

const refusal = (reason: FaultReason) => expect.objectContaining({ name: "Fault", reason });

describe("a good folder", () => {
  test("says what the base is", async () => {
    const { info, tensors } = await open(TINY_CONFIGS.llama);
    expect(info).toMatchObject({
      name: "tiny",
      architecture: "llama",
      layerCount: 2,
      hiddenSize: 16,
      vocabularySize: 32,
      contextTokensMax: 64,
      weightType: "float32",
      bosTokenId: 1,
      eosTokenIds: [2],
    });
    expect(info.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(info.parameterCount).toBe(tinyTensors(TINY_CONFIGS.llama).reduce((sum, { data }) => sum + data.byteLength / 4, 0));
    expect(tensors.get("model.layers.1.self_attn.k_proj.weight")).toMatchObject({ shape: [8, 16], type: "F32", sizeBytes: 512 });
  });

  test("names its linears for us and for PEFT, in the order of computation", async () => {
    const sites = async (architecture: Architecture) =>
      (await open(TINY_CONFIGS[architecture])).info.linears.map(({ site, module, inputSize, outputSize }) => [
        site,
        module,
        inputSize,
        outputSize,
      ]);
    expect((await sites("qwen3")).slice(0, 8)).toEqual([
      ["layers.0.q", "model.layers.0.self_attn.q_proj", 16, 32],
      ["layers.0.k", "model.layers.0.self_attn.k_proj", 16, 16],
      ["layers.0.v", "model.layers.0.self_attn.v_proj", 16, 16],
      ["layers.0.o", "model.layers.0.self_attn.o_proj", 32, 16],
      ["layers.0.gate", "model.layers.0.mlp.gate_proj", 16, 24],
      ["layers.0.up", "model.layers.0.mlp.up_proj", 16, 24],
      ["layers.0.down", "model.layers.0.mlp.down_proj", 24, 16],
      ["layers.1.q", "model.layers.1.self_attn.q_proj", 16, 32],
    ]);
    expect((await sites("gpt2")).slice(4)).toEqual([
      ["layers.1.attn", "transformer.h.1.attn.c_attn", 16, 48],
      ["layers.1.proj", "transformer.h.1.attn.c_proj", 16, 16],
      ["layers.1.fc", "transformer.h.1.mlp.c_fc", 16, 64],
      ["layers.1.fc_out", "transformer.h.1.mlp.c_proj", 64, 16],
    ]);
  });

  test.each(["llama", "gpt2"] as const)("may store a %s without the prefix, and with buffers that nothing needs", async (architecture) => {
    const bare = tinyTensors(TINY_CONFIGS[architecture]).map((tensor) => ({
      ...tensor,
      name: tensor.name.replace(/^(model|transformer)\./, ""),
    }));
    const mask = { name: "h.0.attn.bias", type: "BOOL", shape: [2], data: new Uint8Array(2) } as const;
    const inverse = { name: "rotary.inv_freq", type: "F32", shape: [1], data: new Float32Array([Number.POSITIVE_INFINITY]) } as const;
    const { tensors, config } = await open(TINY_CONFIGS[architecture], [...bare, mask, inverse]);
    const full = architecture === "gpt2" ? "transformer.h.0.attn.c_attn.weight" : "model.layers.0.self_attn.q_proj.weight";
    expect(tensors.get(full)?.name).toBe(full.replace(/^(model|transformer)\./, ""));
    expect(tensors.size).toBe(tinyTensors(TINY_CONFIGS[architecture]).length);
    expect(config.tiedEmbeddings).toBe(architecture === "gpt2");
  });

  test("may be in shards", async () => {
    const directory = await newFolder();
    await writeSharded(directory);
    const { tensors, info } = await openCheckpoint(directory);
    expect(info.name).toBe(path.basename(directory));
    expect(new Set([...tensors.values()].map(({ file }) => path.basename(file)))).toEqual(new Set(["a.safetensors", "b.safetensors"]));
  });

  test("collects every end token, and drops ids that the vocabulary lacks", async () => {
    const directory = await newFolder();
    await writeTinyCheckpoint(directory, { ...TINY_CONFIGS.llama, eos_token_id: [2, 500], bos_token_id: 500 });
    await writeFile(path.join(directory, "generation_config.json"), JSON.stringify({ eos_token_id: [5, 2], bos_token_id: 3 }));
    expect((await openCheckpoint(directory)).info).toMatchObject({ eosTokenIds: [5, 2], bosTokenId: 3 });
  });

  test("a tied head that is stored as well stays tied when it is the same, and is used when it differs", async () => {
    const config = { ...TINY_CONFIGS.llama, tie_word_embeddings: true };
    const tensors = tinyTensors(config);
    const embedding = tensors.find(({ name }) => name === "model.embed_tokens.weight")!;
    const head = { ...embedding, name: "lm_head.weight" };
    expect((await open(config, [...tensors, head])).config.tiedEmbeddings).toBe(true);
    const other = await open(config, [...tensors, { ...head, data: new Float32Array(32 * 16) }]);
    expect(other.config.tiedEmbeddings).toBe(false);
    expect(other.tensors.has("lm_head.weight")).toBe(true);
  });

  test("its digest changes with every file that counts, and with nothing else", async () => {
    const directory = await newFolder();
    await writeTinyCheckpoint(directory, TINY_CONFIGS.gpt2);
    const digest = async () => (await openCheckpoint(directory)).info.digest;
    const first = await digest();
    await writeFile(path.join(directory, "README.md"), "text");
    expect(await digest()).toBe(first);
    const seen = new Set([first]);
    for (const name of ["tokenizer.json", "generation_config.json"]) {
      await writeFile(path.join(directory, name), "{}");
      seen.add(await digest());
    }
    await appendFile(path.join(directory, "config.json"), " ");
    seen.add(await digest());
    await writeSafetensors(path.join(directory, "model.safetensors"), tinyTensors(TINY_CONFIGS.gpt2, 2));
    seen.add(await digest());
    expect(seen.size).toBe(5);
  });
});

async function writeSharded(directory: string, change: (map: Record<string, string>) => void = () => undefined): Promise<void> {
  const tensors = tinyTensors(TINY_CONFIGS.llama);
  await writeTinyCheckpoint(directory, TINY_CONFIGS.llama, tensors);
  await rm(path.join(directory, "model.safetensors"));
  await writeSafetensors(path.join(directory, "a.safetensors"), tensors.slice(0, 5));
  await writeSafetensors(path.join(directory, "b.safetensors"), tensors.slice(5));
  const map = Object.fromEntries(tensors.map(({ name }, index) => [name, index < 5 ? "a.safetensors" : "b.safetensors"]));
  change(map);
  await writeFile(path.join(directory, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
}

describe("a bad folder is refused with the tensor and the file named", () => {
  const name = "model.layers.1.mlp.up_proj.weight";
  const changed = (change: (tensor: TensorToWrite) => TensorToWrite | undefined) =>
    tinyTensors(TINY_CONFIGS.llama).flatMap((tensor) => (tensor.name === name ? (change(tensor) ?? []) : tensor));

  test.each<[string, TensorToWrite[], FaultReason, string]>([
    ["a missing tensor", changed(() => undefined), "file_malformed", "is missing"],
    [
      "a wrong shape",
      changed((tensor) => ({ ...tensor, shape: [16, 24] })),
      "file_malformed",
      "has the shape [16,24]; by config.json it is [24,16]",
    ],
    ["a type of integers", changed((tensor) => ({ ...tensor, type: "I32" })), "model_unsupported", "type I32 is not supported"],
    [
      "stored twice",
      [
        ...changed((tensor) => tensor),
        ...changed((tensor) => ({ ...tensor, name: name.slice(6) })).filter((tensor) => tensor.name === name.slice(6)),
      ],
      "file_malformed",
      "is also stored as",
    ],
    ["NaN", changed((tensor) => ({ ...tensor, data: new Float32Array(384).fill(Number.NaN, 383) })), "weights_not_finite", "at value 383"],
    [
      "an infinity",
      changed((tensor) => ({ ...tensor, type: "F16", data: new Uint16Array(384).fill(0x7c00, 0, 1) })),
      "weights_not_finite",
      "at value 0",
    ],
  ])("%s", async (_, tensors, reason, why) => {
    const opening = open(TINY_CONFIGS.llama, tensors);
    await expect(opening).rejects.toEqual(refusal(reason));
    await expect(opening).rejects.toThrow(`model.safetensors: tensor ${name}`);
    await expect(opening).rejects.toThrow(why);
  });

  test("pickle files only", async () => {
    const directory = await newFolder();
    await writeTinyCheckpoint(directory, TINY_CONFIGS.llama);
    await rename(path.join(directory, "model.safetensors"), path.join(directory, "pytorch_model.bin"));
    await expect(openCheckpoint(directory)).rejects.toEqual(refusal("model_unsupported"));
    await expect(openCheckpoint(directory)).rejects.toThrow("pytorch_model.bin: a pickle");
  });

  test("no weights, no configuration, no folder", async () => {
    const directory = await newFolder();
    await expect(openCheckpoint(directory)).rejects.toThrow("config.json: no such file");
    await writeFile(path.join(directory, "config.json"), JSON.stringify(TINY_CONFIGS.llama));
    await expect(openCheckpoint(directory)).rejects.toThrow("model.safetensors: no such file");
    await expect(openCheckpoint(path.join(directory, "nowhere"))).rejects.toEqual(refusal("file_missing"));
  });

  test.each<[string, (map: Record<string, string>) => void, string]>([
    [
      "points out of the folder",
      (map) => {
        map[name] = "../b.safetensors";
      },
      "weight_map",
    ],
    [
      "points to a path",
      (map) => {
        map[name] = "/etc/passwd";
      },
      "weight_map",
    ],
    [
      "names the wrong shard",
      (map) => {
        map[name] = "a.safetensors";
      },
      "a.safetensors: tensor",
    ],
    [
      "names a shard that is not there",
      (map) => {
        map[name] = "c.safetensors";
      },
      "c.safetensors: no such file",
    ],
  ])("an index that %s", async (_, change, why) => {
    const directory = await newFolder();
    await writeSharded(directory, change);
    await expect(openCheckpoint(directory)).rejects.toThrow(why);
  });
});
