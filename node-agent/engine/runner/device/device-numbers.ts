import type { BlockFormat, DeviceFloat } from "#model";
import type { WeightFormat } from "../../compute.ts";

/** What lies on a device for one format of weights. */
export interface DeviceNumbers {
  /** Of everything but quantised weights: embedding, norms, cache, tables, activations. */
  readonly type: DeviceFloat;
  /** Of linear layers and the head, where these are quantised. */
  readonly blocks: BlockFormat | undefined;
}

/** Blocks of 32: what the runtime's kernel for many tokens at once takes. Beside them float32, which every device has. */
export const DEVICE_NUMBERS: Readonly<Record<WeightFormat, DeviceNumbers>> = {
  float32: { type: "float32", blocks: undefined },
  float16: { type: "float16", blocks: undefined },
  int8: { type: "float32", blocks: { bits: 8, blockSize: 32 } },
  int4: { type: "float32", blocks: { bits: 4, blockSize: 32 } },
};
