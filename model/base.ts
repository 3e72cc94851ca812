import type { BaseDigest, Tokens } from "#kernel";

/** The families whose graphs `model/graph` builds. */
export type Architecture = "llama" | "qwen2" | "qwen3" | "gpt2";

/**
 * One linear layer that a delta may change. `site` names it for us (`layers.3.q`, `layers.0.attn`, …);
 * `module` is the path by which Hugging Face and PEFT name it (`model.layers.3.self_attn.q_proj`).
 */
export interface LinearSite {
  readonly site: string;
  readonly module: string;
  readonly inputSize: number;
  readonly outputSize: number;
}

/** What a base is, read from its folder; plain data that also crosses process borders. */
export interface BaseInfo {
  readonly name: string;
  readonly digest: BaseDigest;
  readonly architecture: Architecture;
  readonly layerCount: number;
  readonly hiddenSize: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly headSize: number;
  readonly vocabularySize: number;
  readonly contextTokensMax: Tokens;
  readonly parameterCount: number;
  /** As stored in the checkpoint; computation is in float32. */
  readonly weightType: "float32" | "float16" | "bfloat16";
  readonly bosTokenId: number | undefined;
  /** Every id that ends a text. */
  readonly eosTokenIds: readonly number[];
  /** In the order of computation. */
  readonly linears: readonly LinearSite[];
}
