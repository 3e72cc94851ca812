/** Every hyper-parameter that the API takes. What is empty is chosen by the trainer, which says why. */
export interface Knob {
  readonly field: string;
  readonly label: string;
  readonly hint: string;
  readonly kind: "number" | "names";
}

export const KNOBS: readonly Knob[] = [
  { field: "n_epochs", label: "Epochs", hint: "passes over the examples, 1 to 50", kind: "number" },
  { field: "batch_size", label: "Batch size", hint: "examples per step, 1 to 256", kind: "number" },
  { field: "learning_rate_multiplier", label: "Learning rate ×", hint: "of what suits the base, 0.0001 to 100", kind: "number" },
  { field: "rank", label: "Rank", hint: "how much the delta can hold, 1 to 512", kind: "number" },
  { field: "alpha", label: "Alpha", hint: "how loud it speaks; usually twice the rank", kind: "number" },
  { field: "prompt_loss_weight", label: "Prompt loss weight", hint: "0 learns answers only; up to 1", kind: "number" },
  { field: "checkpoint_steps", label: "Checkpoint every … steps", hint: "up to 100,000", kind: "number" },
  { field: "targets", label: "Layers", hint: "q_proj, v_proj, …; empty is all", kind: "names" },
];

/** What is written into the fields, as text. */
export interface KnobTexts {
  readonly suffix: string;
  readonly seed: string;
  readonly values: Readonly<Record<string, string>>;
  readonly rankStabilised: boolean;
  readonly auto: boolean;
  readonly classification: boolean;
}

export const NO_KNOBS: KnobTexts = { suffix: "", seed: "", values: {}, rankStabilised: false, auto: true, classification: false };

/** The body of `POST /v1/fine_tuning/jobs`. Ranges are the router's to check: it names the field. */
export function jobWish(
  knobs: KnobTexts,
  files: { readonly model: string; readonly training_file: string; readonly validation_file?: string },
): object {
  const hyperparameters = Object.fromEntries([
    ...KNOBS.flatMap(({ field, kind }) => {
      const text = knobs.values[field]?.trim() ?? "";
      return text === "" ? [] : [[field, kind === "number" ? Number(text) : text.split(/[\s,]+/)] as const];
    }),
    ...(knobs.rankStabilised ? [["rank_stabilised", true] as const] : []),
  ]);
  return {
    ...files,
    ...(knobs.suffix !== "" && { suffix: knobs.suffix }),
    ...(knobs.seed !== "" && { seed: Number(knobs.seed) }),
    ...(Object.keys(hyperparameters).length > 0 && { method: { type: "supervised", supervised: { hyperparameters } } }),
    auto: knobs.auto,
    compute_classification_metrics: knobs.classification,
  };
}
