import type { BaseLoad } from "#proto";

/** `webgpu float16, NVIDIA H100`; the processor has no name that says more. `-` while there is none. */
export function engineName(base: BaseLoad | undefined): string {
  if (!base?.engine) return "-";
  const { provider, weights, device } = base.engine;
  return `${provider} ${weights}${device === provider ? "" : `, ${device}`}`;
}
