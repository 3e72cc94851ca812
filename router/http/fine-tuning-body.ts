import { z } from "zod";
import { Fault, shapeWords } from "#kernel";
import type { CreateJobRequest } from "#proto";
import { invalidField, nullable, text } from "./request-body.ts";

/** `auto` is what is not said. */
const auto = <T extends z.ZodType>(schema: T) => nullable(z.union([z.literal("auto").transform(() => undefined), schema]));

/** OpenAI's three, and what researchers want besides. Ranges are checked once for both doors. */
const Hyperparameters = z.object({
  n_epochs: auto(z.int().nonnegative()),
  batch_size: auto(z.int().nonnegative()),
  learning_rate_multiplier: auto(z.number()),
  rank: auto(z.int().nonnegative()),
  alpha: auto(z.number()),
  rank_stabilised: auto(z.boolean()),
  targets: auto(z.array(text)),
  prompt_loss_weight: auto(z.number()),
  checkpoint_steps: auto(z.int().nonnegative()),
});

const Wandb = z.object({ project: text, name: nullable(text), entity: nullable(text), tags: nullable(z.array(text)) });

const Body = z.object({
  model: text,
  training_file: text,
  validation_file: nullable(text),
  suffix: nullable(text),
  seed: nullable(z.int().nonnegative()),
  method: nullable(z.object({ type: z.string(), supervised: nullable(z.object({ hyperparameters: nullable(Hyperparameters) })) })),
  /** OpenAI's older place for them. */
  hyperparameters: nullable(Hyperparameters),
  integrations: nullable(z.array(z.object({ type: z.string(), wandb: nullable(Wandb) }))),
  metadata: nullable(z.record(z.string(), text)),
  auto: nullable(z.boolean()),
  compute_classification_metrics: nullable(z.boolean()),
});

/** @throws Fault parameter_invalid or parameter_unsupported, naming the field as OpenAI does */
export function jobRequestOf(body: unknown, idempotencyKey: string): CreateJobRequest {
  const read = Body.safeParse(body, { error: shapeWords });
  if (!read.success) throw invalidField(read.error.issues[0]!.path.join(".") || "body", read.error.issues[0]!.message);
  const { method, integrations, metadata, seed } = read.data;
  if (method && method.type !== "supervised")
    throw new Fault("parameter_unsupported", `method.type is "${method.type}"; supervised is offered`, {
      detail: { field: "method.type" },
    });
  const given = method?.supervised?.hyperparameters ?? read.data.hyperparameters;
  return {
    model: read.data.model,
    trainingFile: read.data.training_file,
    validationFile: read.data.validation_file ?? "",
    suffix: read.data.suffix ?? "",
    seed: seed === undefined ? undefined : String(seed),
    hyperparameters: given && {
      epochs: given.n_epochs,
      batchSize: given.batch_size,
      learningRateMultiplier: given.learning_rate_multiplier,
      rank: given.rank,
      alpha: given.alpha,
      rankStabilised: given.rank_stabilised,
      targets: given.targets ?? [],
      promptLossWeight: given.prompt_loss_weight,
      checkpointSteps: given.checkpoint_steps,
    },
    auto: read.data.auto ?? false,
    classificationMetrics: read.data.compute_classification_metrics ?? false,
    ...{ tenantId: "", idempotencyKey },
    metadata: metadata ?? {},
    integrations: (integrations ?? []).map(({ type, wandb }) => ({
      ...{ type, project: wandb?.project ?? "", name: wandb?.name ?? "", entity: wandb?.entity ?? "", tags: wandb?.tags ?? [] },
    })),
  };
}
