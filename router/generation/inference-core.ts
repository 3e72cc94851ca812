import { type ClaimOutbox, type Clock, Fault, isFault, type Log, type Random, toFault, type Usage } from "#kernel";
import {
  type CountTokensRequest,
  type GenerateRequest,
  type GenerateResponse,
  Sampling,
  type ScoreRequest,
  type ScoreResponse,
} from "#proto";
import type { NameSources } from "../catalog/index.ts";
import type { InferenceCore, Principal } from "../contract.ts";
import { authenticate } from "../keys/index.ts";
import type { RouterMetrics } from "../metrics.ts";
import { type Admission, admit } from "./admission.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { streamGeneration } from "./generation.ts";
import { getModel, listModels } from "./model-list.ts";
import { checkModel, checkPrompt, checkSampling, checkTopLogprobs } from "./request-check.ts";
import { RequestMeter } from "./request-meter.ts";
import { RequestProgress } from "./request-progress.ts";
import { requestSize } from "./request-size.ts";
import type { RequestSlots } from "./request-slots.ts";

export interface InferenceDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly names: NameSources;
  readonly slots: RequestSlots;
  readonly dispatcher: Dispatcher;
  readonly outbox: ClaimOutbox;
  readonly metrics: RouterMetrics;
  readonly ready: () => boolean;
}

export function createInferenceCore(deps: InferenceDeps): InferenceCore {
  return {
    authenticate: async (credential) => authenticate(deps.names.view, credential, deps.clock.now()),
    generate: (principal, request, signal) => generate(deps, principal, request, signal),
    score: (principal, request, signal) => score(deps, principal, request, signal),
    countTokens: (principal, request, signal) => countTokens(deps, principal, request, signal),
    listModels: async (principal) => listModels(deps.names, principal),
    getModel: async (principal, name) => getModel(deps.names, principal, name),
    ready: deps.ready,
  };
}

async function* generate(
  deps: InferenceDeps,
  principal: Principal,
  request: GenerateRequest,
  signal: AbortSignal,
): AsyncGenerator<GenerateResponse> {
  const startedAt = deps.clock.monotonic();
  using watched = watchRequest(deps);
  try {
    checkModel(request.model);
    checkPrompt(request.prompt);
    const sampling = completeSampling(request.sampling, deps.random);
    using admission = admit(deps, principal, request.model, requestSize(request.prompt, sampling), signal);
    watched.admitted(admission);
    const progress = new RequestProgress(sampling.n ?? 1);
    const generation = {
      requestId: admission.requestId,
      model: admission.target.model,
      baseName: admission.target.baseName,
      ask: admission.ask,
      nodeRequest: { ...admission.nodeFields, prompt: request.prompt, sampling },
      progress,
      meter: new RequestMeter(deps, admission.claimFacts),
      startedAt,
      onFirstToken: admission.firstToken,
    };
    try {
      yield* streamGeneration(deps, generation, admission.signal);
    } finally {
      watched.served(progress.usage);
    }
    watched.completed();
  } catch (error) {
    throw watched.failed(error);
  }
}

async function score(deps: InferenceDeps, principal: Principal, request: ScoreRequest, signal: AbortSignal): Promise<ScoreResponse> {
  using watched = watchRequest(deps);
  try {
    checkModel(request.model);
    checkPrompt(request.prompt);
    checkTopLogprobs(request.logprobs);
    using admission = admit(deps, principal, request.model, requestSize(request.prompt, undefined), signal);
    watched.admitted(admission);
    const question = { ...admission.nodeFields, prompt: request.prompt, logprobs: request.logprobs };
    const { scored, serving } = await deps.dispatcher.ask(admission.ask, admission.signal, async ({ client, node, attempt }) => ({
      scored: await client.score(question, admission.signal),
      serving: { attempt, nodeId: node.id },
    }));
    const usage = { promptTokens: 0, cachedTokens: 0, ...scored.usage, completionTokens: 0 };
    await new RequestMeter(deps, admission.claimFacts).settle("completed", usage, serving);
    watched.served(usage);
    watched.completed();
    return { requestId: admission.requestId, tokens: scored.tokens, usage };
  } catch (error) {
    throw watched.failed(error);
  }
}

async function countTokens(deps: InferenceDeps, principal: Principal, request: CountTokensRequest, signal: AbortSignal) {
  checkModel(request.model);
  checkPrompt(request.prompt);
  using admission = admit(deps, principal, request.model, requestSize(request.prompt, undefined), signal);
  const question = { baseDigest: admission.target.baseDigest, prompt: request.prompt };
  return deps.dispatcher.ask(admission.ask, admission.signal, ({ client }) => client.countTokens(question, admission.signal));
}

/** Checked, and with a seed, so that every attempt draws the same. The base's own defaults are the node's to fill in. */
function completeSampling(wish: Sampling | undefined, random: Random): Sampling {
  const sampling = { ...Sampling.create(), ...wish };
  checkSampling(sampling);
  return { ...sampling, seed: sampling.seed ?? random.bits().toString() };
}

/** Follows one request for metrics and log; one whose reader leaves ends without a word and counts as cancelled. */
function watchRequest({ metrics, log }: InferenceDeps) {
  let base = "";
  let requestId: string | undefined;
  let code: string = "cancelled";
  return {
    admitted(admission: Admission) {
      base = admission.target.baseName;
      requestId = admission.requestId;
    },
    served: (usage: Usage) => metrics.tokensServed(base, usage),
    completed() {
      code = "ok";
    },
    /** The error to throw: a defect of ours tells the request id, by which the log has the rest. */
    failed(error: unknown): unknown {
      const fault = toFault(error);
      code = fault.code;
      if (!isFault(fault, "bug") || requestId === undefined) return error;
      log.error({ err: fault, requestId }, "a request met a defect");
      return new Fault("bug", `internal error; the request is ${requestId}`, { cause: error });
    },
    [Symbol.dispose]: () => metrics.requestEnded(code, base),
  };
}
