import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PushDeltaHeader, PushDeltaRequest } from "#proto";

/** The two files of a PEFT folder, as bytes that nobody has checked. */
export interface DeltaFolder {
  readonly config: Uint8Array;
  readonly weights: Uint8Array;
}

/** One tensor with the bytes it is stored as. */
export interface RawTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Buffer;
}

type Json = Readonly<Record<string, unknown>>;

const CONFIG = JSON.parse(readFileSync(join(import.meta.dirname, "../../models/demo-base/config.json"), "utf8")) as Record<string, number>;
const HIDDEN = CONFIG["hidden_size"]!;
const QUERIES = CONFIG["num_attention_heads"]! * (CONFIG["head_dim"] ?? HIDDEN / CONFIG["num_attention_heads"]!);
export const LAYERS = CONFIG["num_hidden_layers"]!;
export const RANK = 4;

/** Of the first layer's query projection, the only one that the delta of these tests changes. */
export const A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
export const B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

export function peftConfig(changes: Json = {}): Buffer {
  const config = { peft_type: "LORA", r: RANK, lora_alpha: 8, target_modules: ["q_proj"], layers_to_transform: [0], bias: "none" };
  return Buffer.from(JSON.stringify({ ...config, ...changes }));
}

/** float32, every value the same. */
export function tensor(name: string, shape: readonly number[], value = 0.001): RawTensor {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value);
  return { name, dtype: "F32", shape, data: Buffer.from(values.buffer) };
}

export const tensorA = tensor(A, [RANK, HIDDEN]);
export const tensorB = tensor(B, [QUERIES, RANK]);

/** A header, side by side with the data. `change` spoils the header's entries. */
export function safetensors(
  tensors: readonly RawTensor[] = [tensorA, tensorB],
  change: (entries: Record<string, Json>) => unknown = (entries) => entries,
): Buffer {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape, data }) => {
    const begin = end;
    end += data.length;
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const header = JSON.stringify(change(Object.fromEntries(entries)));
  return withHeader(header, Buffer.concat(tensors.map(({ data }) => data)));
}

/** Any bytes in the place of the header; `announced` is its length as the file says it. */
export function withHeader(header: string | Buffer, data: Buffer, announced = BigInt(Buffer.byteLength(header))): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(announced);
  return Buffer.concat([prefix, Buffer.from(header), data]);
}

export function goodDelta(changes: Partial<DeltaFolder> = {}): DeltaFolder {
  return { config: peftConfig(), weights: safetensors(), ...changes };
}

const PIECE_BYTES = 1 << 20;

/** An upload as a well-behaved client sends it. */
export async function* pushRequests(header: Partial<PushDeltaHeader>, folder: Partial<DeltaFolder>): AsyncGenerator<PushDeltaRequest> {
  yield { part: { $case: "header", value: { base: "", name: "", tenantId: "", ...header } } };
  for (const $case of ["config", "weights"] as const) {
    const bytes = folder[$case] ?? Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      yield { part: { $case, value: Buffer.from(bytes.subarray(at, at + PIECE_BYTES)) } };
    }
  }
}
