import { InferenceSession } from "onnxruntime-node";
import type { Bytes } from "#kernel";
import { buildDecoderGraph, type Checkpoint } from "#model";
import { DEFAULT_COMPUTE } from "../../compute.ts";
import type { RunnerOptions } from "../contract.ts";
import { chooseLinearFormat } from "./linear-format.ts";
import { weightCopies } from "./weight-copies.ts";

/**
 * Outlasts the small nodes between two products, so that no thread sleeps within a layer. The runtime's own default of
 * several times that makes steps two to four times as long when another process needs one of the cores.
 */
const SPIN_MICROS = 100;

/** Where a base's steps run. One session for both kinds of steps takes the delta inputs in either; see {@link weightCopies}. */
export interface StepSessions {
  readonly withDeltas: InferenceSession;
  readonly withoutDeltas: InferenceSession;
  /** Of all sessions together. */
  readonly weightsBytes: Bytes;
}

type SessionOptions = Pick<RunnerOptions, "compute" | "threads" | "spinMicros">;

/** Reads the weights and packs them, `copies` times. Faults: those of the safetensors reader, and of {@link chooseLinearFormat}. */
export async function openStepSessions(
  checkpoint: Checkpoint,
  options: SessionOptions,
  copies = weightCopies(checkpoint.info, formatOf(options)),
): Promise<StepSessions> {
  const linears = await chooseLinearFormat(checkpoint.info, formatOf(options));
  const first = buildDecoderGraph(checkpoint, linears, copies === 2 ? "with" : "either");
  const weights = await first.readWeights();
  const open = (model: Uint8Array) =>
    InferenceSession.create(model, {
      externalData: weights,
      intraOpNumThreads: options.threads ?? 2,
      interOpNumThreads: 1,
      extra: { session: { intra_op: { spin_duration_us: String(options.spinMicros ?? SPIN_MICROS) } } },
    });
  const withDeltas = await open(first.model);
  const withoutDeltas = copies === 2 ? await open(buildDecoderGraph(checkpoint, linears, "without").model) : withDeltas;
  return { withDeltas, withoutDeltas, weightsBytes: copies * weights.reduce((sum, { data }) => sum + data.byteLength, 0) };
}

const formatOf = ({ compute }: SessionOptions) => (compute ?? DEFAULT_COMPUTE).weights;

export async function releaseStepSessions({ withDeltas, withoutDeltas }: StepSessions): Promise<void> {
  for (const session of new Set([withDeltas, withoutDeltas])) await session.release();
}
