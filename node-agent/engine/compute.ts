import { Fault } from "#kernel";

/** Where an engine computes: on the processor, or on a device by WebGPU (Vulkan, Metal, D3D12) or CUDA. */
export const PROVIDERS = ["cpu", "webgpu", "cuda"] as const;
export type Provider = (typeof PROVIDERS)[number];

/** How the weights of a base's linear layers lie in memory; `int8` and `int4` are quantised when the base is loaded. */
export const WEIGHT_FORMATS = ["float32", "float16", "int8", "int4"] as const;
export type WeightFormat = (typeof WEIGHT_FORMATS)[number];

/** What an engine computes with. */
export interface Compute {
  readonly provider: Provider;
  readonly weights: WeightFormat;
}

export const DEFAULT_COMPUTE: Compute = { provider: "cpu", weights: "float32" };

/** What each provider computes with. On the processor float16 would be widened at every step: slower than float32, and no smaller. */
const OFFERED: Readonly<Record<Provider, readonly WeightFormat[]>> = {
  cpu: ["float32", "int8", "int4"],
  webgpu: ["float32", "float16", "int8", "int4"],
  cuda: [],
};

/** @throws Fault parameter_unsupported that names the option and what to say instead. */
export function chooseCompute(provider: Provider = "cpu", weights: WeightFormat = "float32"): Compute {
  const offered = OFFERED[provider];
  if (offered.includes(weights)) return { provider, weights };
  if (offered.length === 0) {
    throw new Fault(
      "parameter_unsupported",
      `--ep ${provider} is not offered: the runtime would bring the whole KV cache back over the bus at every step; --ep webgpu uses the same devices (docs/devices.md)`,
      { detail: { field: "ep" } },
    );
  }
  throw new Fault("parameter_unsupported", `--weights ${weights} is not offered with --ep ${provider}: ${offered.join(", ")} are`, {
    detail: { field: "weights" },
  });
}
