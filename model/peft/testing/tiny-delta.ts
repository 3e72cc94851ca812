import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { asTenantId, deltaDigest, seededRandom } from "#kernel";
import type { BaseInfo } from "../../base.ts";
import type { DeltaReference } from "../../delta.ts";
import { type TensorToWrite, writeSafetensors } from "../../safetensors/index.ts";

/** What PEFT writes, less what we ignore. */
export function tinyConfig(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { peft_type: "LORA", r: 4, lora_alpha: 8, target_modules: ["q_proj", "v_proj"], bias: "none", fan_in_fan_out: false, ...changes };
}

/** lora_A and lora_B of the linears whose module path ends as told, with random values. */
export function tinyPairs(base: BaseInfo, ends: readonly string[] = ["q_proj", "v_proj"], rank = 4, seed = 1): TensorToWrite[] {
  const random = seededRandom(seed);
  const tensor = (name: string, rows: number, columns: number): TensorToWrite => ({
    name: `base_model.model.${name}.weight`,
    type: "F32",
    shape: [rows, columns],
    data: new Float32Array(rows * columns).map(() => random.float() - 0.5),
  });
  return base.linears
    .filter(({ module }) => ends.some((end) => module.endsWith(end)))
    .flatMap(({ module, inputSize, outputSize }) => [
      tensor(`${module}.lora_A`, rank, inputSize),
      tensor(`${module}.lora_B`, outputSize, rank),
    ]);
}

/** Writes a PEFT folder for tests and says how to refer to it. */
export async function writeTinyDelta(
  directory: string,
  base: BaseInfo,
  config: Readonly<Record<string, unknown>> | string = tinyConfig(),
  tensors: readonly TensorToWrite[] | Uint8Array = tinyPairs(base),
): Promise<DeltaReference> {
  await mkdir(directory, { recursive: true });
  const configFile = path.join(directory, "adapter_config.json");
  const weightsFile = path.join(directory, "adapter_model.safetensors");
  await writeFile(configFile, typeof config === "string" ? config : JSON.stringify(config));
  if (tensors instanceof Uint8Array) await writeFile(weightsFile, tensors);
  else await writeSafetensors(weightsFile, tensors);
  const sha256 = async (file: string) =>
    createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
  const tenantId = asTenantId("acme");
  const parts = { tenantId, baseDigest: base.digest, configSha256: await sha256(configFile), weightsSha256: await sha256(weightsFile) };
  return { digest: deltaDigest(parts), tenantId, baseDigest: base.digest };
}
