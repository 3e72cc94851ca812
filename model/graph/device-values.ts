/** Numbers of weights, cache and activations on a device. */
export type DeviceFloat = "float32" | "float16";

/** As the attribute of a `Cast`: numbers of TensorProto.DataType. */
export const NUMBER_TYPES = { float32: 1n, float16: 10n } as const;

/** Inputs and outputs of a device's graphs, beside weights, deltas and the cache. `N` tokens, `S` slots of the cache. */
export const DEVICE_VALUES = {
  /** int64 [N]. */
  tokens: "tokens",
  /** int64 [N]: the place of each token in its text. */
  positions: "positions",
  /** int64 [N, 1]: the same as `positions`; where they turn heads. */
  turns: "turns",
  /** int64 [w]: for which of the N tokens logits are wanted. */
  wanted: "wanted",
  /** int32 [S]: the last position that each slot's query looks at. In decode its new key and value go there. */
  lastPlaces: "last_places",
  /** int32 []: the largest of `lastPlaces`, and one. */
  longest: "longest",
  /** Decode. int64 [S]: which token stands for each slot. */
  slotTokens: "slot_tokens",
  /** Decode. int64 [N]: the slot of each token's row. */
  tokenSlots: "token_slots",
  /** Chunk. int64 [1]: the row's slot. */
  slot: "slot",
  /** Chunk. int32 [kvHeads · N, 1], which the provider can expand: where the new keys and values go, in rows of the cache seen as [S · kvHeads · capacity, headSize]. */
  cacheRows: "cache_rows",
  /** float32 [w, vocabularySize]. */
  logits: "logits",
} as const;

interface CacheNames {
  /** [S, kvHeads, capacity, headSize] */
  readonly past: string;
  /** The same memory as `past`, seen as [S · kvHeads · capacity, headSize]; only where a chunk writes. */
  readonly flat: string;
  /** The output that is to be bound to the same memory. */
  readonly present: string;
}

/** Names of a layer's keys and values. */
export function presentNames(layer: number): { readonly key: CacheNames; readonly value: CacheNames } {
  const names = (kind: string): CacheNames => ({
    past: `past_${kind}.${layer}`,
    flat: `flat_${kind}.${layer}`,
    present: `present_${kind}.${layer}`,
  });
  return { key: names("key"), value: names("value") };
}
