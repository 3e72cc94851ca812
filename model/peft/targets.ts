import type { LinearSite } from "../base.ts";
import { fileFault } from "../files/index.ts";
import { compilePattern, PATTERN_STEPS_MAX, type PatternBudget } from "./module-pattern.ts";
import { PatternError } from "./pattern-error.ts";
import { CONFIG_FILE, type PeftConfig } from "./peft-config.ts";

/** What a delta does at one linear of the base. */
export interface Target {
  readonly linear: LinearSite;
  readonly rank: number;
  /** alpha/r, or alpha/√r for rsLoRA. */
  readonly scale: number;
}

type Matches = (module: string) => boolean;

/**
 * Which linears a configuration means, with rank and scale of each, as PEFT decides it (`check_target_module_exists`,
 * `get_pattern_key`). Fault file_malformed for a pattern that can't be read.
 */
export function selectTargets(config: PeftConfig, linears: readonly LinearSite[]): Target[] {
  const budget: PatternBudget = { stepsLeft: PATTERN_STEPS_MAX };
  const isTarget = targetMatcher(config, budget);
  const isExcluded = matcher("exclude_modules", config.exclude_modules ?? [], budget);
  const rankOf = patternLookup("rank_pattern", config.rank_pattern ?? {}, config.r, budget);
  const alphaOf = patternLookup("alpha_pattern", config.alpha_pattern ?? {}, config.lora_alpha, budget);
  return linears
    .filter(({ module }) => isTarget(module) && !isExcluded(module))
    .map((linear) => {
      const rank = rankOf(linear.module);
      const alpha = alphaOf(linear.module);
      return { linear, rank, scale: alpha / (config.use_rslora ? Math.sqrt(rank) : rank) };
    });
}

function targetMatcher(config: PeftConfig, budget: PatternBudget): Matches {
  const { target_modules: targets, layers_to_transform: layers } = config;
  if (targets == null) throw malformed("target_modules", "is missing");
  const hasLayers = layers != null && !(Array.isArray(layers) && layers.length === 0);
  if (typeof targets === "string") {
    if (hasLayers) throw malformed("layers_to_transform", "is only possible with a list of target_modules");
    if (targets.toLowerCase() === "all-linear") return () => true;
  }
  const isTarget = matcher("target_modules", targets, budget);
  if (!hasLayers) return isTarget;
  const isLayer = layerMatcher(config, new Set([layers].flat()));
  return (module) => isTarget(module) && isLayer(module);
}

/** The layer is the first number in a module's path that follows a list of layers: any list, or one of those named. */
function layerMatcher(config: PeftConfig, layers: ReadonlySet<number>): Matches {
  const lists = [config.layers_pattern ?? []].flat();
  const odd = lists.find((name) => !/^\w+$/.test(name));
  if (odd !== undefined) throw malformed("layers_pattern", `${JSON.stringify(odd.slice(0, 100))} is not a plain name`);
  return (module) => {
    const path = module.split(".");
    const index = path.findIndex((part, at) => /^\d+$/.test(part) && (lists.length === 0 ? at >= 2 : lists.includes(path[at - 1]!)));
    return index >= 0 && index < path.length - 1 && layers.has(Number(path[index]));
  };
}

/** A list matches whole names or the ends of paths, a text is a pattern for the whole path. */
function matcher(field: string, modules: string | readonly string[], budget: PatternBudget): Matches {
  if (typeof modules === "string") return fieldPattern(field, modules, budget);
  const names = new Set(modules);
  return (module) => pathEnds(module).some((end) => names.has(end));
}

/** The value of the first key that matches an end of the module's path, as `(.*\.)?(key)$` would; keys are patterns. */
function patternLookup(field: string, table: Readonly<Record<string, number>>, otherwise: number, budget: PatternBudget) {
  const entries = Object.entries(table).map(([key, value]) => {
    // Most keys are plain module paths, and there may be one for every linear; their dots match any character.
    const plain = /^[\w.]+$/.test(key) ? new RegExp(`(?:^|\\.)${key}$`) : undefined;
    const matches = plain ? (module: string) => plain.test(module) : fieldPattern(field, `(.*\\.)?(${key})`, budget);
    return { matches, value };
  });
  return (module: string): number => entries.find(({ matches }) => matches(module))?.value ?? otherwise;
}

function fieldPattern(field: string, pattern: string, budget: PatternBudget): Matches {
  const matches = namingField(field, () => compilePattern(pattern, budget));
  return (module) => namingField(field, () => matches(module));
}

/** `model.layers.0.mlp`, `layers.0.mlp`, `0.mlp`, `mlp`. */
function pathEnds(module: string): string[] {
  const path = module.split(".");
  return path.map((_, at) => path.slice(at).join("."));
}

function namingField<T>(field: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PatternError) throw malformed(field, `the pattern ${error.message}`);
    throw error;
  }
}

function malformed(field: string, why: string) {
  return fileFault("file_malformed", CONFIG_FILE, `${field}: ${why}`, { field });
}
