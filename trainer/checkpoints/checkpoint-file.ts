import path from "node:path";
import { Fault, type Tokens } from "#kernel";
import { BASE_HEADER_LIMITS, type Parameter, readSafetensorsHeader, readTensorFloat32, writeSafetensors } from "#model";
import type { BestState, TrainingState } from "../training/training-state.ts";

/** What a checkpoint belongs to. */
export interface CheckpointIdentity {
  /** Hex. */
  readonly planDigest: string;
  readonly seed: number;
  /** A training that goes on keeps the size of its parts: another one would round differently. */
  readonly microbatchTokensMax: Tokens;
}

const FORMAT = "deltaplane.checkpoint.v1";
/** Tensors of a parameter: its values, both moments of its gradient, and its values at the best validation. */
const ROLES = ["values", "mean", "variance", "best"] as const;

/** Writes all that is needed to go on, in one file that appears complete or not at all. */
export async function writeCheckpoint(
  file: string,
  parameters: readonly Parameter[],
  state: TrainingState,
  { planDigest, seed, microbatchTokensMax }: CheckpointIdentity,
): Promise<void> {
  const tensors = parameters.flatMap(({ name, shape }) => {
    const { values, mean, variance } = state.learned.get(name)!;
    const best = state.best?.values?.get(name);
    const stored = (role: (typeof ROLES)[number], data: Float32Array<ArrayBuffer>) => ({
      name: `${role}:${name}`,
      type: "F32" as const,
      shape,
      data,
    });
    return [stored("values", values), stored("mean", mean), stored("variance", variance), ...(best ? [stored("best", best)] : [])];
  });
  const { step, trainedTokens, validationsSinceBest, best } = state;
  await writeSafetensors(file, tensors, {
    format: FORMAT,
    plan: planDigest,
    seed: String(seed),
    microbatch_tokens: String(microbatchTokensMax),
    step: String(step),
    trained_tokens: String(trainedTokens),
    validations_since_best: String(validationsSinceBest),
    ...(best ? { best_step: String(best.step), best_loss: String(best.loss) } : {}),
  });
}

export interface ReadCheckpoint {
  readonly state: TrainingState;
  readonly identity: CheckpointIdentity;
}

/**
 * Reads what {@link writeCheckpoint} wrote for the same plan and parameters.
 *
 * @throws Fault file_missing, file_malformed, weights_not_finite; parameter_invalid for a checkpoint of another plan
 */
export async function readCheckpoint(file: string, parameters: readonly Parameter[], planDigest: string): Promise<ReadCheckpoint> {
  const { tensors, metadata } = await readSafetensorsHeader(file, BASE_HEADER_LIMITS, "refuse");
  const fields = new Fields(file, metadata);
  if (fields.text("format") !== FORMAT) throw malformed(file, `is no checkpoint of a training (${FORMAT})`);
  if (fields.text("plan") !== planDigest) {
    throw new Fault("parameter_invalid", `${path.basename(file)} is a checkpoint of another plan, base or data set`, {
      detail: { file: path.basename(file) },
    });
  }
  const read = async (role: string, { name, shape }: Parameter) => {
    const tensor = tensors.get(`${role}:${name}`);
    if (tensor?.type !== "F32" || tensor.shape.join() !== shape.join()) throw malformed(file, `has no fitting ${role} of ${name}`);
    return readTensorFloat32({ ...tensor, type: "F32" });
  };
  const learned = new Map<
    string,
    { values: Float32Array<ArrayBuffer>; mean: Float32Array<ArrayBuffer>; variance: Float32Array<ArrayBuffer> }
  >();
  const bestValues = new Map<string, Float32Array<ArrayBuffer>>();
  const hasBest = tensors.has(`best:${parameters[0]!.name}`);
  for (const parameter of parameters) {
    const [values, mean, variance] = [await read("values", parameter), await read("mean", parameter), await read("variance", parameter)];
    learned.set(parameter.name, { values, mean, variance });
    if (hasBest) bestValues.set(parameter.name, await read("best", parameter));
  }
  if (tensors.size !== parameters.length * (hasBest ? 4 : 3)) throw malformed(file, "has tensors that are no parameter's");
  const best: BestState | undefined = metadata.has("best_step")
    ? { step: fields.count("best_step"), loss: fields.number("best_loss"), values: hasBest ? bestValues : undefined }
    : undefined;
  return {
    state: {
      step: fields.count("step"),
      trainedTokens: fields.count("trained_tokens"),
      validationsSinceBest: fields.count("validations_since_best"),
      learned,
      best,
    },
    identity: { planDigest, seed: fields.count("seed"), microbatchTokensMax: fields.count("microbatch_tokens") },
  };
}

/** The metadata of a file, read strictly. */
class Fields {
  readonly #file: string;
  readonly #metadata: ReadonlyMap<string, string>;

  constructor(file: string, metadata: ReadonlyMap<string, string>) {
    this.#file = file;
    this.#metadata = metadata;
  }

  text(name: string): string {
    const text = this.#metadata.get(name);
    if (text === undefined) throw malformed(this.#file, `has no ${name}`);
    return text;
  }

  number(name: string): number {
    const text = this.text(name);
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value)) throw malformed(this.#file, `${name} is no number`);
    return value;
  }

  count(name: string): number {
    const value = this.number(name);
    if (!Number.isSafeInteger(value) || value < 0) throw malformed(this.#file, `${name} is no whole number from 0`);
    return value;
  }
}

function malformed(file: string, why: string): Fault {
  const name = path.basename(file);
  return new Fault("file_malformed", `${name}: ${why}`, { detail: { file: name } });
}
