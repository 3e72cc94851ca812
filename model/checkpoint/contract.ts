import type { Bytes, Tokens } from "#kernel";
import type { Architecture, BaseInfo } from "../base.ts";

/** How positions are turned into angles. Anything else in a config is refused by name. */
export type RopeScaling =
  | { readonly kind: "none" }
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContextTokensMax: Tokens;
    };

/** config.json, checked and in our words; the same for all families, with what a family lacks left at its neutral value. */
export interface ModelConfig {
  readonly architecture: Architecture;
  readonly layerCount: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly headSize: number;
  readonly vocabularySize: number;
  readonly contextTokensMax: Tokens;
  readonly normEpsilon: number;
  /** Undefined for GPT-2, which has learned positions. */
  readonly rope: { readonly theta: number; readonly scaling: RopeScaling } | undefined;
  readonly tiedEmbeddings: boolean;
  /** Whether q, k and v (Qwen2: always; Llama: attention_bias) have biases; `output` for o as well. */
  readonly attentionBias: "none" | "qkv" | "qkvo";
  readonly mlpBias: boolean;
  readonly activation: "silu" | "gelu_tanh" | "gelu" | "relu";
}

/** Where one tensor of a checkpoint lies. The range has been checked against the file. */
export interface TensorLocation {
  /** As in the safetensors header. */
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  readonly type: "F32" | "F16" | "BF16";
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offsetBytes: Bytes;
  readonly sizeBytes: Bytes;
}

/** A Hugging Face folder, opened and checked: every tensor that the architecture needs is there with the right shape. */
export interface Checkpoint {
  readonly directory: string;
  readonly info: BaseInfo;
  readonly config: ModelConfig;
  /**
   * What the architecture needs, and nothing else. Keyed by the full name in transformers (`model.layers.0.…`,
   * `transformer.h.0.…`), also where the file stores it without the prefix; `lm_head.weight` is there unless tied.
   */
  readonly tensors: ReadonlyMap<string, TensorLocation>;
}
