import { InferenceSession } from "onnxruntime-node";
import type { Bytes } from "#kernel";
import { buildDecoderGraph, type Checkpoint, type DeltaSteps, type WeightData } from "#model";
import { DEFAULT_COMPUTE } from "../../compute.ts";
import type { RunnerOptions } from "../contract.ts";
import { chooseLinearFormat } from "./linear-format.ts";
import { weightCopies } from "./weight-copies.ts";

/**
 * Outlasts the small nodes between two products, and what an engine does between two steps of one text, so that no thread has to be
 * woken there: a twentieth of the shortest steps. The runtime's own default of several times that makes steps two to four times as long
 * when another process needs one of the cores.
 */
const SPIN_MICROS = 200;

/** Where a base's steps run; how many of them there are: see {@link weightCopies}. */
export interface StepSessions {
  readonly withDeltas: InferenceSession;
  /** The same one where a base has only one session: then it takes the delta inputs in either kind of step. */
  readonly withoutDeltas: InferenceSession;
  /** For even steps with deltas. */
  readonly evenDeltas: InferenceSession | undefined;
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
  let weightsBytes = 0;
  /** Graphs of the same weights, which are read once for them. */
  const open = async (...kinds: readonly DeltaSteps[]) => {
    const graphs = kinds.map((steps) => buildDecoderGraph(checkpoint, linears, steps));
    const weights = await graphs[0]!.readWeights();
    const sessions: InferenceSession[] = [];
    for (const { model } of graphs) {
      weightsBytes += weights.reduce((sum, { data }) => sum + data.byteLength, 0);
      sessions.push(await openSession(model, weights, options));
    }
    return sessions;
  };
  if (copies === 1) {
    const [either] = await open("either");
    return { withDeltas: either!, withoutDeltas: either!, evenDeltas: undefined, weightsBytes };
  }
  const [withoutDeltas] = await open("without");
  const [withDeltas, evenDeltas] = copies === 3 ? await open("with", "even") : await open("with");
  return { withDeltas: withDeltas!, withoutDeltas: withoutDeltas!, evenDeltas, weightsBytes };
}

function openSession(
  model: Uint8Array,
  weights: readonly WeightData[],
  { threads, spinMicros }: SessionOptions,
): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    externalData: weights,
    intraOpNumThreads: threads ?? 2,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { spin_duration_us: String(spinMicros ?? SPIN_MICROS) } } },
  });
}

const formatOf = ({ compute }: SessionOptions) => (compute ?? DEFAULT_COMPUTE).weights;

export async function releaseStepSessions({ withDeltas, withoutDeltas, evenDeltas }: StepSessions): Promise<void> {
  for (const session of new Set([withDeltas, withoutDeltas, evenDeltas])) await session?.release();
}
