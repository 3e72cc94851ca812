import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { assert, Fault } from "#kernel";
import type { BaseInfo } from "../base.ts";
import type { DeltaSite } from "../graph/index.ts";
import { writeSafetensors } from "../safetensors/index.ts";
import { WEIGHTS_FILE } from "./delta-tensors.ts";
import { CONFIG_FILE, RANK_MAX } from "./peft-config.ts";

/** What shape a new delta has. */
export interface DeltaSettings {
  readonly rank: number;
  readonly alpha: number;
  /** Scale by alpha/√rank instead of alpha/rank (rsLoRA, 2312.03732). */
  readonly rankStabilised: boolean;
  /** Ends of module paths, as PEFT's target_modules: `q_proj`, `mlp.c_proj`. Undefined for all linears. */
  readonly targets?: readonly string[] | undefined;
}

/** The linears that a new delta changes. @throws Fault parameter_invalid for a rank out of range or a target that the base lacks */
export function deltaSites(base: BaseInfo, settings: DeltaSettings): DeltaSite[] {
  const { rank, alpha, rankStabilised } = settings;
  if (!Number.isInteger(rank) || rank < 1 || rank > RANK_MAX) throw invalid("rank", `${rank} is not a whole number from 1 to ${RANK_MAX}`);
  if (!(alpha > 0 && Number.isFinite(alpha))) throw invalid("alpha", `${alpha} is not a number above 0`);
  const targets = settings.targets ?? linearNames(base);
  if (targets.length === 0) throw invalid("targets", "is empty");
  const means = (target: string) => (module: string) => module === target || module.endsWith(`.${target}`);
  for (const target of targets) {
    if (base.linears.some(({ module }) => means(target)(module))) continue;
    throw invalid("targets", `${base.name} has no linear ${target}; it has ${linearNames(base).join(", ")}`);
  }
  const scale = alpha / (rankStabilised ? Math.sqrt(rank) : rank);
  return base.linears.filter(({ module }) => targets.some((target) => means(target)(module))).map((linear) => ({ linear, rank, scale }));
}

/**
 * Writes a delta as PEFT saves one: adapter_config.json and adapter_model.safetensors in float32. `values` are the
 * parameters of a training graph over `deltaSites(base, settings)`, by their names there.
 */
export async function saveDelta(
  directory: string,
  base: BaseInfo,
  settings: DeltaSettings,
  values: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const tensors = deltaSites(base, settings).flatMap(({ linear: { module, inputSize, outputSize }, rank }) => [
    { name: `${module}.lora_A`, shape: [rank, inputSize] },
    { name: `${module}.lora_B`, shape: [outputSize, rank] },
  ]);
  const stored = tensors.map(({ name, shape }) => {
    const data = values.get(name);
    assert(data, `a trained delta has ${name}`);
    return { name: `base_model.model.${name}.weight`, type: "F32" as const, shape, data };
  });
  await writeSafetensors(path.join(directory, WEIGHTS_FILE), stored, { format: "pt" });
  await writeFile(path.join(directory, CONFIG_FILE), `${JSON.stringify(peftConfig(base, settings), undefined, 2)}\n`);
}

/** The settings by which PEFT builds the same layers. */
function peftConfig(base: BaseInfo, { rank, alpha, rankStabilised, targets }: DeltaSettings): Record<string, unknown> {
  return {
    alpha_pattern: {},
    base_model_name_or_path: base.name,
    bias: "none",
    // GPT-2's linears are Conv1D modules, which keep their weights the other way round.
    fan_in_fan_out: base.architecture === "gpt2",
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: "LORA",
    r: rank,
    rank_pattern: {},
    target_modules: targets ?? linearNames(base),
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: rankStabilised,
  };
}

/** The last names of all linears' paths. */
function linearNames(base: BaseInfo): readonly string[] {
  return [...new Set(base.linears.map(({ module }) => module.slice(module.lastIndexOf(".") + 1)))];
}

function invalid(field: string, why: string): Fault {
  return new Fault("parameter_invalid", `${field}: ${why}`, { detail: { field } });
}
