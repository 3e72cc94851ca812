import { InferenceSession, Tensor } from "onnxruntime-node";
import { buildTrainingGraph, type Checkpoint, type Parameter, readTensorFloat32, TRAINING_VALUES, type Trainable } from "#model";
import { differentiate } from "../gradient/differentiate.ts";
import type { Microbatch } from "./batches.ts";

/** What one microbatch comes to. */
export interface Computed {
  /** Σ weight × negative log-likelihood. */
  readonly loss: number;
  /** How many of its targets were the most likely token. */
  readonly hits: number;
}

export interface ComputedGradients extends Computed {
  /** By parameter, of the loss. Fresh memory, the caller's own. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

export type ParameterValues = ReadonlyMap<string, Float32Array<ArrayBuffer>>;

/** A base with its loss and gradients, in the runtime. A run blocks the calling thread: give it a process of its own. */
export interface GradientSession extends AsyncDisposable {
  readonly parameters: readonly Parameter[];
  /** The parameters are read in place, and not kept. */
  run(batch: Microbatch, parameters: ParameterValues): Promise<ComputedGradients>;
  /** The loss alone, for held-out examples. */
  score(batch: Microbatch, parameters: ParameterValues): Promise<Computed>;
  /** The negative log-likelihood of each of its targets, without weights. */
  losses(batch: Microbatch, parameters: ParameterValues): Promise<Float32Array>;
}

export interface GradientSessionOptions {
  /** Of the runtime; default 2. */
  readonly threads?: number;
}

const RESULTS = [TRAINING_VALUES.loss, TRAINING_VALUES.hits];
const gradientOf = (parameter: string) => `gradient:${parameter}`;

/** Faults: those of reading the weights; op_unsupported. */
export async function openGradientSession(
  checkpoint: Checkpoint,
  trainable: Trainable,
  options: GradientSessionOptions = {},
): Promise<GradientSession> {
  const { graph, loss, parameters, frozen, readWeights } = buildTrainingGraph(checkpoint, trainable);
  const names = parameters.map(({ name }) => name);
  for (const [name, gradient] of differentiate(graph, loss, names)) graph.output(gradientOf(name), gradient, "float32", undefined);
  const session = await InferenceSession.create(graph.finish(), {
    externalData: await readWeights(),
    intraOpNumThreads: options.threads ?? 2,
    interOpNumThreads: 1,
    // One block for all intermediate values, sized for the largest batch, costs half as much memory again and saves no time.
    enableMemPattern: false,
    // A thread that waits leaves its core to serving.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  const constants: Record<string, Tensor> = {};
  for (const [name, tensor] of frozen) constants[name] = new Tensor("float32", await readTensorFloat32(tensor), [...tensor.shape]);
  const feedsOf = (batch: Microbatch, values: ParameterValues) => ({ ...constants, ...feeds(batch, parameters, values) });
  const read = (outputs: InferenceSession.OnnxValueMapType, name: string) => (outputs[name] as Tensor).data as Float32Array;
  const single = (outputs: InferenceSession.OnnxValueMapType, name: string) => read(outputs, name)[0]!;
  const computed = (outputs: InferenceSession.OnnxValueMapType): Computed => ({
    loss: single(outputs, TRAINING_VALUES.loss),
    hits: single(outputs, TRAINING_VALUES.hits),
  });
  let released: Promise<void> | undefined;
  return {
    parameters,
    async run(batch, values) {
      const outputs = await session.run(feedsOf(batch, values), [...RESULTS, ...names.map(gradientOf)]);
      return { ...computed(outputs), gradients: new Map(names.map((name) => [name, read(outputs, gradientOf(name))])) };
    },
    async score(batch, values) {
      return computed(await session.run(feedsOf(batch, values), RESULTS));
    },
    async losses(batch, values) {
      return read(await session.run(feedsOf(batch, values), [TRAINING_VALUES.losses]), TRAINING_VALUES.losses);
    },
    [Symbol.asyncDispose]() {
      released ??= session.release();
      return released;
    },
  };
}

function feeds(batch: Microbatch, parameters: readonly Parameter[], values: ParameterValues): Record<string, Tensor> {
  const { rows, span, tokenIds, wanted, targets, weights } = batch;
  const feeds: Record<string, Tensor> = {
    [TRAINING_VALUES.tokens]: new Tensor("int64", tokenIds, [rows, span]),
    [TRAINING_VALUES.wanted]: new Tensor("int64", wanted, [wanted.length]),
    [TRAINING_VALUES.targets]: new Tensor("int64", targets, [targets.length]),
    [TRAINING_VALUES.weights]: new Tensor("float32", weights, [weights.length]),
  };
  for (const { name, shape } of parameters) feeds[name] = new Tensor("float32", values.get(name)!, [...shape]);
  return feeds;
}
