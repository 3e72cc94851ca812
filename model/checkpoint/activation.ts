import { unsupported } from "./config-fault.ts";
import type { ModelConfig } from "./contract.ts";

/** transformers' names (`ACT2FN`) of the activations that our graphs have. */
const ACTIVATIONS: ReadonlyMap<string, ModelConfig["activation"]> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["gelu", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
  ["relu", "relu"],
]);

export function activationNamed(name: string, field: string): ModelConfig["activation"] {
  const activation = ACTIVATIONS.get(name);
  if (!activation) throw unsupported(field, `activation ${JSON.stringify(name.slice(0, 100))}`);
  return activation;
}
