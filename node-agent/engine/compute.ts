/** Where an engine computes: on the processor, or on a device by WebGPU (Vulkan, Metal, D3D12) or CUDA. */
export const PROVIDERS = ["cpu", "webgpu", "cuda"] as const;
export type Provider = (typeof PROVIDERS)[number];

/** How the weights of a base's linear layers lie in memory; `int8` and `int4` are quantised by blocks when the base is loaded. */
export const WEIGHT_FORMATS = ["float32", "float16", "int8", "int4"] as const;
export type WeightFormat = (typeof WEIGHT_FORMATS)[number];

/** What an engine computes with. */
export interface Compute {
  readonly provider: Provider;
  readonly weights: WeightFormat;
}

export const DEFAULT_COMPUTE: Compute = { provider: "cpu", weights: "float32" };
