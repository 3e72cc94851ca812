import { Fault, NAME_PATTERN } from "#kernel";
import type { CreateJobRequest, Hyperparameters } from "#proto";
import type { JobRecord } from "../catalog/index.ts";

/** What a job is asked for, checked but for what it refers to. */
export type JobWish = Pick<JobRecord, "suffix" | "auto" | "classificationMetrics" | "metadata" | "integrations" | "wished"> & {
  readonly seed: number | undefined;
};

/** A model that has no suffix of its own is called by this. */
const SUFFIX_DEFAULT = "tuned";
const SUFFIX_CHARACTERS_MAX = 40;
/** OpenAI's. */
const SEED_MAX = 2 ** 31 - 1;
const METADATA_MAX = { entries: 16, keyCharacters: 64, valueCharacters: 512 } as const;
const INTEGRATIONS_MAX = 5;
const TAGS_MAX = 16;
const TEXT_CHARACTERS_MAX = 128;
const TARGETS_MAX = 32;

/** By wire name: what each hyper-parameter may be. NaN is in no range. */
const RANGES = {
  epochs: [1, 50, "whole"],
  batch_size: [1, 256, "whole"],
  learning_rate_multiplier: [1e-4, 100, "real"],
  rank: [1, 512, "whole"],
  alpha: [1e-3, 4096, "real"],
  prompt_loss_weight: [0, 1, "real"],
  checkpoint_steps: [1, 100_000, "whole"],
} as const satisfies Readonly<Record<string, readonly [min: number, max: number, kind: "whole" | "real"]>>;

/** @throws Fault parameter_invalid or parameter_unsupported, naming the field in the wire's spelling */
export function checkWish(request: CreateJobRequest): JobWish {
  const { suffix, seed } = request;
  if (suffix !== "" && (suffix.length > SUFFIX_CHARACTERS_MAX || !NAME_PATTERN.test(suffix)))
    throw invalid("suffix", `suffix has 1 to ${SUFFIX_CHARACTERS_MAX} lower-case letters, digits and dashes`);
  if (seed !== undefined && !(Number(seed) <= SEED_MAX)) throw invalid("seed", `seed is from 0 to ${SEED_MAX}`);
  return {
    suffix: suffix === "" ? SUFFIX_DEFAULT : suffix,
    seed: seed === undefined ? undefined : Number(seed),
    auto: request.auto,
    classificationMetrics: request.classificationMetrics,
    metadata: checkMetadata(request.metadata),
    integrations: checkIntegrations(request.integrations),
    wished: checkHyperparameters(request.hyperparameters),
  };
}

function checkHyperparameters(wish: Hyperparameters | undefined): JobRecord["wished"] {
  if (!wish) return { targets: [] };
  const { epochs, batchSize, learningRateMultiplier, rank, alpha, promptLossWeight, checkpointSteps, rankStabilised, targets } = wish;
  const within = <K extends string>(key: K, field: keyof typeof RANGES, value: number | undefined) => {
    if (value === undefined) return {} as { readonly [P in K]?: number };
    const [min, max, kind] = RANGES[field];
    const path = `hyperparameters.${field}`;
    if (!(value >= min && value <= max) || (kind === "whole" && !Number.isInteger(value)))
      throw invalid(path, `${path} is ${value}; it must be ${kind === "whole" ? "a whole number " : ""}from ${min} to ${max}`);
    return { [key]: value } as { readonly [P in K]?: number };
  };
  if (targets.length > TARGETS_MAX || targets.some((target) => !/^[\w.]{1,64}$/.test(target)))
    throw invalid("hyperparameters.targets", `hyperparameters.targets has at most ${TARGETS_MAX} names of linear layers`);
  return {
    ...within("epochs", "epochs", epochs),
    ...within("batchSize", "batch_size", batchSize),
    ...within("learningRateMultiplier", "learning_rate_multiplier", learningRateMultiplier),
    ...within("rank", "rank", rank),
    ...within("alpha", "alpha", alpha),
    ...within("promptLossWeight", "prompt_loss_weight", promptLossWeight),
    ...within("checkpointSteps", "checkpoint_steps", checkpointSteps),
    ...(rankStabilised !== undefined && { rankStabilised }),
    targets,
  };
}

function checkMetadata(metadata: CreateJobRequest["metadata"]): JobRecord["metadata"] {
  const { entries, keyCharacters, valueCharacters } = METADATA_MAX;
  const pairs = Object.entries(metadata);
  if (pairs.length > entries) throw invalid("metadata", `metadata has ${pairs.length} entries; ${entries} are allowed`);
  for (const [key, value] of pairs)
    if (key === "" || key.length > keyCharacters || value.length > valueCharacters || !`${key}${value}`.isWellFormed())
      throw invalid("metadata", `metadata has keys of 1 to ${keyCharacters} and values of at most ${valueCharacters} characters`);
  return Object.fromEntries(pairs);
}

function checkIntegrations(integrations: CreateJobRequest["integrations"]): JobRecord["integrations"] {
  if (integrations.length > INTEGRATIONS_MAX) throw invalid("integrations", `integrations has at most ${INTEGRATIONS_MAX} entries`);
  return integrations.map(({ type, project, name, entity, tags }, index) => {
    const field = `integrations[${index}]`;
    if (type !== "wandb") throw new Fault("parameter_unsupported", `${field}.type is "${type}"; wandb is offered`, { detail: { field } });
    if (project === "") throw invalid(`${field}.wandb.project`, `${field}.wandb.project is missing`);
    for (const text of [project, name, entity, ...tags])
      if (text.length > TEXT_CHARACTERS_MAX || !text.isWellFormed())
        throw invalid(field, `${field} has a text of more than ${TEXT_CHARACTERS_MAX} characters`);
    if (tags.length > TAGS_MAX) throw invalid(`${field}.wandb.tags`, `${field}.wandb.tags has at most ${TAGS_MAX} entries`);
    return { type, project, name, entity, tags };
  });
}

export function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
