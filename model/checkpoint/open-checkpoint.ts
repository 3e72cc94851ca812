import path from "node:path";
import * as z from "zod";
import { asBaseDigest, type BaseDigest, MIB, sha256Hex } from "#kernel";
import type { BaseInfo } from "../base.ts";
import { checkShape, decodeJsonObject, readWholeFile, unlessMissing } from "../files/index.ts";
import { parseModelConfig } from "./config.ts";
import { tokenIds } from "./config-fields.ts";
import type { Checkpoint, ModelConfig, TensorLocation } from "./contract.ts";
import { linearSites } from "./linear-sites.ts";
import { findTensor, locateTensors } from "./located-tensors.ts";
import { neededTensors } from "./needed-tensors.ts";
import { openWeightFiles, type WeightFiles } from "./weight-files.ts";
import { sameContent, scanWeightFile } from "./weight-scan.ts";

/** A config.json is a few kB; one with hundreds of layer types still is below this. */
const CONFIG_BYTES_MAX = MIB;
/** The largest published tokenizer.json, of 262,144 tokens, has 33 MB. */
const TOKENIZER_BYTES_MAX = 128 * MIB;

const TokenFields = z.object({ bos_token_id: z.int().nullish(), eos_token_id: tokenIds });
type TokenFields = z.infer<typeof TokenFields>;

/**
 * Opens a Hugging Face folder and checks all of it: configuration, headers, names, shapes, and every weight for NaN and
 * infinities. Reads the weights once, in a stream, also for the digest: about a second per GB. `options.name` is what
 * clients call the base; the folder's own name by default.
 *
 * Faults: file_missing, file_malformed, weights_not_finite, model_unsupported; each names the file.
 */
export async function openCheckpoint(directory: string, options: { readonly name?: string } = {}): Promise<Checkpoint> {
  const absolute = path.resolve(directory);
  const configFile = await readWholeFile(path.join(absolute, "config.json"), CONFIG_BYTES_MAX, "follow");
  const generationFile = await unlessMissing(readWholeFile(path.join(absolute, "generation_config.json"), CONFIG_BYTES_MAX, "follow"));
  const tokenizerFile = await unlessMissing(readWholeFile(path.join(absolute, "tokenizer.json"), TOKENIZER_BYTES_MAX, "follow"));
  const configJson = decodeJsonObject(configFile, "config.json");
  const weights = await openWeightFiles(absolute);
  const config = await withRealTie(parseModelConfig(configJson), weights);
  const tensors = locateTensors(weights.tensors, neededTensors(config), weights.headers[0]?.file ?? absolute);
  const digest = await baseDigest(weights, tensors, [
    ["config.json", configFile],
    ["generation_config.json", generationFile],
    ["tokenizer.json", tokenizerFile],
  ]);
  const tokens = [checkShape(TokenFields, configJson, "config.json")];
  if (generationFile) {
    const file = "generation_config.json";
    tokens.unshift(checkShape(TokenFields, decodeJsonObject(generationFile, file), file));
  }
  const info = baseInfo(options.name ?? path.basename(absolute), digest, config, tensors, tokens);
  return { directory: absolute, info, config, tensors };
}

/**
 * A config that says "tied" for a file that also has a head of its own: tied when both hold the same values, as
 * transformers 5 decides it.
 */
async function withRealTie(config: ModelConfig, weights: WeightFiles): Promise<ModelConfig> {
  if (!config.tiedEmbeddings) return config;
  const head = findTensor(weights.tensors, "lm_head.weight");
  const embedding = findTensor(weights.tensors, config.architecture === "gpt2" ? "transformer.wte.weight" : "model.embed_tokens.weight");
  if (!head || !embedding || (await sameContent(head, embedding))) return config;
  return { ...config, tiedEmbeddings: false };
}

/** SHA-256 over one line per file, name and SHA-256, in the order: configuration, generation, tokenizer, weights by name. */
async function baseDigest(
  weights: WeightFiles,
  tensors: ReadonlyMap<string, TensorLocation>,
  small: readonly (readonly [name: string, content: Uint8Array | undefined])[],
): Promise<BaseDigest> {
  const lines = ["deltaplane.base.v1"];
  for (const [name, content] of small) if (content) lines.push(`${name} ${sha256Hex(content)}`);
  for (const header of weights.headers) {
    const used = [...tensors.values()].filter((tensor) => tensor.file === header.file);
    const sha256 = await scanWeightFile(header, new Map(used.map((tensor) => [tensor.name, tensor])));
    lines.push(`${path.basename(header.file)} ${sha256}`);
  }
  return asBaseDigest(sha256Hex(lines.map((line) => `${line}\n`).join("")));
}

function baseInfo(
  name: string,
  digest: BaseDigest,
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorLocation>,
  tokens: readonly TokenFields[],
): BaseInfo {
  const linears = linearSites(config);
  const inVocabulary = (id: number | null | undefined): id is number => id != null && id >= 0 && id < config.vocabularySize;
  const eosTokenIds = tokens.flatMap(({ eos_token_id }) => eos_token_id ?? []).filter(inVocabulary);
  return {
    name,
    digest,
    architecture: config.architecture,
    layerCount: config.layerCount,
    hiddenSize: config.hiddenSize,
    headCount: config.headCount,
    kvHeadCount: config.kvHeadCount,
    headSize: config.headSize,
    vocabularySize: config.vocabularySize,
    contextTokensMax: config.contextTokensMax,
    parameterCount: [...tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    weightType: WEIGHT_TYPES[tensors.get(`${linears[0]?.module}.weight`)?.type ?? "F32"],
    bosTokenId: tokens.map(({ bos_token_id }) => bos_token_id).find(inVocabulary),
    eosTokenIds: [...new Set(eosTokenIds)],
    linears,
  };
}

const WEIGHT_TYPES = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;
