import type { FaultReason } from "#kernel";
import {
  A,
  B,
  type DeltaFolder,
  LAYERS,
  peftConfig,
  RANK,
  type RawTensor,
  safetensors,
  tensor,
  tensorA,
  tensorB,
  withHeader,
} from "./delta-folder.ts";

/** One spoiled file, and how it is refused. */
interface BadFile extends Partial<DeltaFolder> {
  readonly what: string;
  readonly reason: FaultReason;
  /** What the fault must name. */
  readonly names: RegExp | string;
}

export const CONFIG_FILE = "adapter_config.json";
export const WEIGHTS_FILE = "adapter_model.safetensors";

const good = safetensors();
const data = Buffer.concat([tensorA.data, tensorB.data]);
const size = data.length;
const sizeA = tensorA.data.length;
const malformed = (what: string, weights: Buffer, names: RegExp | string = WEIGHTS_FILE): BadFile & { weights: Buffer } => ({
  ...{ what, weights, names },
  reason: "file_malformed",
});
/** Replaces what the header says of lora_A. */
const saying = (entry: Readonly<Record<string, unknown>>) =>
  safetensors([tensorA, tensorB], (entries) => ({ ...entries, [A]: { ...entries[A], ...entry } }));
/** The header as text, for what JSON.stringify would never write. */
const sayingText = (from: string, to: string) => safetensorsText((text) => text.replace(from, to));
const safetensorsText = (change: (text: string) => string) => {
  const length = Number(good.readBigUInt64LE());
  return withHeader(change(good.subarray(8, 8 + length).toString()), data);
};
const holding = (value: number): Buffer => {
  const spoiled = Buffer.from(tensorA.data);
  spoiled.writeFloatLE(value, spoiled.length - 4);
  return safetensors([{ ...tensorA, data: spoiled }, tensorB]);
};
const withTensor = (extra: RawTensor) => safetensors([tensorA, tensorB, extra]);
const named = (name: string, reason: FaultReason, names: RegExp): BadFile & { weights: Buffer } => ({
  ...{ what: `a tensor ${name}`, weights: withTensor(tensor(name, [4, 4])), reason, names },
});
const layer = (index: number, part: "A" | "B") => (part === "A" ? A : B).replace("layers.0", `layers.${index}`);

const MISLABELLED: readonly (BadFile & { weights: Buffer })[] = [
  malformed("an unknown type", saying({ dtype: "F12" }), /lora_A.*F12/),
  malformed("a type that is an object's own property", saying({ dtype: "constructor" }), /lora_A/),
  malformed("float32 that is called float16", saying({ dtype: "F16" }), /lora_A/),
  { what: "float32 that is called int32", weights: saying({ dtype: "I32" }), reason: "model_unsupported", names: /lora_A.*I32/ },
  malformed("a shape that its bytes do not fill", saying({ shape: [RANK, 1] }), /lora_A/),
  malformed("a shape whose product overflows", saying({ shape: [2 ** 40, 2 ** 40] }), /lora_A/),
  malformed("a shape of 100 dimensions", saying({ shape: Array(100).fill(1) }), /lora_A/),
  malformed("a negative shape", saying({ shape: [-RANK, -256] }), /lora_A/),
  malformed("a field too many", saying({ strides: [1] }), /lora_A/),
  { what: "a transposed matrix", weights: saying({ shape: [...tensorA.shape].reverse() }), reason: "delta_base_mismatch", names: /lora_A/ },
];

const OFFSETS: readonly (BadFile & { weights: Buffer })[] = [
  malformed(
    "tensors that overlap",
    safetensors([tensorA, tensorB], (entries) => ({ ...entries, [B]: { ...entries[B], data_offsets: [sizeA - 4, size - 4] } })),
    /lora_B.*overlap/,
  ),
  malformed(
    "a hole",
    safetensors([tensorA, { ...tensorB, data: Buffer.concat([tensorB.data, Buffer.alloc(8)]) }], (entries) => ({
      ...entries,
      [B]: { ...entries[B], data_offsets: [sizeA + 8, size + 8] },
    })),
    /lora_B.*hole/,
  ),
  malformed("a tensor beyond the end", safetensorsText((text) => text).subarray(0, -4), /lora_B.*end/),
  malformed("bytes after the last tensor", Buffer.concat([good, Buffer.from("PK\u0003\u0004")])),
  malformed("an end before its begin", saying({ data_offsets: [sizeA, 0] }), /lora_A/),
  malformed("a negative offset", saying({ data_offsets: [-4, sizeA - 4] }), /lora_A/),
  malformed("a fraction of a byte", sayingText(`[0,${sizeA}]`, `[0.5,${sizeA}.5]`), /adapter_model/),
  malformed("an offset beyond exact numbers", sayingText(`[0,${sizeA}]`, "[0,9007199254740993]"), /adapter_model/),
  malformed("an infinite offset", sayingText(`[0,${sizeA}]`, "[0,1e400]"), /adapter_model/),
];

const HEADERS: readonly (BadFile & { weights: Buffer })[] = [
  { what: "no bytes", weights: Buffer.alloc(0), reason: "file_missing", names: WEIGHTS_FILE },
  malformed("7 bytes", good.subarray(0, 7)),
  malformed("a cut in the header", good.subarray(0, 60)),
  malformed("a cut in the data", good.subarray(0, good.length - 100), /lora_B/),
  malformed("a header longer than the file", withHeader("{}", data, 10n ** 9n)),
  malformed("a header of 2^63 bytes", withHeader("{}", data, 2n ** 63n)),
  malformed("a header of 2^64 - 1 bytes", withHeader("{}", data, 2n ** 64n - 1n)),
  malformed("a header of 2 MiB", withHeader(`{}${" ".repeat(2 << 20)}`, data)),
  malformed("a header that is no JSON", withHeader("{this is it}", data)),
  malformed("a header that is a list", withHeader("[]", data)),
  malformed("a header after a space", withHeader(" {}", data)),
  malformed("a header after a byte order mark", withHeader("\ufeff{}", data)),
  malformed("a header that is no UTF-8", withHeader(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), data)),
  malformed("a header of 100,000 levels", withHeader(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, data)),
  malformed(
    "a tensor twice",
    safetensorsText((text) => `${text.slice(0, -1)},${text.slice(1)}`),
    /lora_A/,
  ),
  malformed(
    "a tensor called __proto__",
    safetensorsText((text) => text.replace(A, "__proto__")),
  ),
  malformed("a pickle", Buffer.concat([Buffer.from([0x80, 2, 0x63]), Buffer.from("os\nsystem\n"), Buffer.alloc(64)])),
  malformed("a zip, as torch.save writes it", Buffer.concat([Buffer.from("PK\u0003\u0004"), Buffer.alloc(100)])),
  malformed("an ELF", Buffer.concat([Buffer.from("\u007fELF"), Buffer.alloc(100)])),
];

const NOT_THE_BASE: readonly (BadFile & { weights: Buffer })[] = [
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => ({
    ...{ what: `a weight ${value}`, weights: holding(value), names: /lora_A/ },
    reason: "weights_not_finite" as const,
  })),
  malformed("lora_A without lora_B", safetensors([tensorA]), /lora_B/),
  malformed("a layer that the configuration does not target", withTensor(tensor(layer(1, "A"), tensorA.shape)), /layers\.1/),
  named(layer(LAYERS, "A"), "delta_base_mismatch", new RegExp(`layers\\.${LAYERS}`)),
  named(A.replace("lora_A.weight", "lora_magnitude_vector"), "model_unsupported", /DoRA/),
  named("base_model.model.model.embed_tokens.lora_embedding_A", "model_unsupported", /embedding/),
  named("base_model.model.lm_head.lora_A.weight", "model_unsupported", /output layer/),
  named("base_model.model.lm_head.modules_to_save.weight", "model_unsupported", /output layer|trained module/),
  named("anything", "file_malformed", /anything/),
  {
    ...{ what: "the shapes of another base", reason: "delta_base_mismatch" as const, names: /lora_A/ },
    weights: safetensors([tensor(A, [RANK, tensorA.shape[1]! * 2]), tensor(B, [tensorB.shape[0]! * 2, RANK])]),
  },
  {
    ...{ what: "another rank than its configuration says", reason: "delta_base_mismatch" as const, names: /lora_A/ },
    weights: safetensors([tensor(A, [RANK + 1, tensorA.shape[1]!]), tensor(B, [tensorB.shape[0]!, RANK + 1])]),
  },
];

export const BAD_WEIGHTS = [...HEADERS, ...OFFSETS, ...MISLABELLED, ...NOT_THE_BASE];

const configured = (
  what: string,
  changes: Readonly<Record<string, unknown>>,
  reason: FaultReason,
  names: RegExp,
): BadFile & { config: Buffer } => ({
  ...{ what, reason, names },
  config: peftConfig(changes),
});
const verbatim = (what: string, text: string | Buffer, names: RegExp | string = CONFIG_FILE): BadFile & { config: Buffer } => ({
  ...{ what, names, reason: "file_malformed" },
  config: Buffer.from(text),
});

export const BAD_CONFIGS: readonly (BadFile & { config: Buffer })[] = [
  verbatim("no JSON", "peft_type: LORA"),
  verbatim("a list", "[]"),
  verbatim("no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
  verbatim("a key twice", `{"r":4,${peftConfig().toString().slice(1)}`),
  verbatim("100,000 levels", `{"r":${"[".repeat(100_000)}${"]".repeat(100_000)}}`),
  { what: "more than 256 KiB", config: peftConfig({ revision: "x".repeat(300_000) }), reason: "message_too_large", names: CONFIG_FILE },
  configured("no peft_type", { peft_type: undefined }, "model_unsupported", /peft_type/),
  configured("an unknown peft_type", { peft_type: "VERA" }, "model_unsupported", /peft_type.*VERA/),
  configured("DoRA", { use_dora: true }, "model_unsupported", /DoRA/),
  configured("modules_to_save", { modules_to_save: ["lm_head"] }, "model_unsupported", /modules_to_save/),
  configured("trained biases", { bias: "all" }, "model_unsupported", /bias/),
  configured("an initialisation that changes the base", { init_lora_weights: "pissa" }, "model_unsupported", /init_lora_weights.*pissa/),
  configured("a setting that nobody knows", { use_magic: true }, "model_unsupported", /use_magic/),
  configured("rank 0", { r: 0 }, "file_malformed", /\br\b/),
  configured("rank 513", { r: 513 }, "file_malformed", /\br\b/),
  configured("half a rank", { r: 4.5 }, "file_malformed", /\br\b/),
  configured("a rank in a pattern beyond 512", { rank_pattern: { q_proj: 1000 } }, "file_malformed", /rank_pattern/),
  configured("alpha 0", { lora_alpha: 0 }, "file_malformed", /lora_alpha/),
  configured("a huge alpha", { lora_alpha: 1e300 }, "file_malformed", /lora_alpha/),
  verbatim("an infinite alpha", peftConfig().toString().replace('"lora_alpha":8', '"lora_alpha":1e400')),
  configured("alpha as text", { lora_alpha: "8" }, "file_malformed", /lora_alpha/),
  {
    ...configured("no target at all", { target_modules: [] }, "delta_base_mismatch", /target_modules/),
    weights: safetensors([]),
  },
  {
    ...configured("targets that the base does not have", { target_modules: ["c_attn"] }, "delta_base_mismatch", /target_modules/),
    weights: safetensors([]),
  },
  configured("another target than the weights", { target_modules: ["k_proj"] }, "file_malformed", /lora_A.*adapter_config/),
  configured("a layer that the base does not have", { layers_to_transform: [LAYERS] }, "file_malformed", /lora_A.*adapter_config/),
];
