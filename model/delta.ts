import type { BaseDigest, Bytes, DeltaDigest, TenantId } from "#kernel";

/** How to find and check a delta; small, travels with every request. */
export interface DeltaReference {
  readonly digest: DeltaDigest;
  readonly tenantId: TenantId;
  readonly baseDigest: BaseDigest;
}

/**
 * The change to one linear layer: y += (x · Aᵀ) · B. Both in float32, row-major, ready to be stacked into packed
 * tables; the scale (alpha/r, or alpha/√r for rsLoRA) is already multiplied into B.
 */
export interface DeltaLayer {
  readonly site: string;
  readonly rank: number;
  /** [rank, inputSize], as PEFT stores lora_A. */
  readonly a: Float32Array<ArrayBuffer>;
  /** [rank, outputSize]: the transpose of PEFT's lora_B, times the scale. */
  readonly b: Float32Array<ArrayBuffer>;
}

/** A delta in memory, checked against its base. Immutable. */
export interface LoadedDelta {
  readonly reference: DeltaReference;
  /** The largest rank of any layer. */
  readonly rank: number;
  /** Of all layers' a and b. */
  readonly sizeBytes: Bytes;
  readonly layers: readonly DeltaLayer[];
}
