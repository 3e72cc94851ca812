import type { ClaimOutbox, Clock, Log, Random, Tracer, Usage } from "#kernel";
import {
  type CountTokensRequest,
  type GenerateRequest,
  type GenerateResponse,
  Sampling,
  type ScoreRequest,
  type ScoreResponse,
} from "#proto";
import {
  type Admission,
  type AdmissionDeps,
  admit,
  ends,
  type Idempotency,
  identify,
  type Limits,
  NOTHING_TAKEN,
  type Recording,
  type Taken,
} from "../admission/index.ts";
import type { Admitted, DoorContext, InferenceCore, Principal } from "../contract.ts";
import type { RouterMetrics } from "../metrics.ts";
import { newRequestId } from "../request-id.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { streamGeneration } from "./generation.ts";
import { getModel, listModels } from "./model-list.ts";
import { checkModel, checkPrompt, checkSampling, checkTopLogprobs } from "./request-check.ts";
import { RequestMeter } from "./request-meter.ts";
import { RequestProgress } from "./request-progress.ts";
import { type RequestWatch, watchRequest } from "./request-watch.ts";

export interface InferenceDeps extends AdmissionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly dispatcher: Dispatcher;
  readonly limits: Limits;
  readonly idempotency: Idempotency;
  readonly outbox: ClaimOutbox;
  readonly metrics: RouterMetrics;
  readonly tracer: Tracer;
  readonly ready: () => boolean;
}

/** Who asks, and what the door says of the request besides its message. */
interface Call extends DoorContext {
  readonly principal: Principal;
  readonly signal: AbortSignal;
  readonly onAdmitted: ((admitted: Admitted) => void) | undefined;
}

export function createInferenceCore(deps: InferenceDeps): InferenceCore {
  return {
    authenticate: async (credential) => deps.access.authenticate(credential),
    generate: (principal, request, signal, onAdmitted, context) => generate(deps, request, { ...context, principal, signal, onAdmitted }),
    score: (principal, request, signal, onAdmitted, context) => score(deps, request, { ...context, principal, signal, onAdmitted }),
    countTokens: (principal, request, signal) => countTokens(deps, principal, request, signal),
    listModels: async (principal) => listModels(deps.names, principal),
    getModel: async (principal, name) => getModel(deps.names, principal, name),
    ready: deps.ready,
  };
}

async function* generate(deps: InferenceDeps, request: GenerateRequest, call: Call): AsyncGenerator<GenerateResponse> {
  using watch = watchRequest(deps, request.prompt?.kind?.$case === "chat" ? "chat" : "text_completion", call.trace);
  try {
    const { model, prompt } = request;
    checkModel(model);
    checkPrompt(prompt);
    if (request.sampling) checkSampling(request.sampling);
    const { requestId, seed, question } = identify(deps, call.principal, request, call.requestId);
    const sampling = completeSampling(request.sampling, seed);
    using admission = admit(deps, call.principal, { requestId, model, prompt, sampling, takesRow: true }, call.signal);
    watch.known(admission);
    const checkRoom = () => deps.dispatcher.queue.check(admission.ask, call.deadlineAt);
    const beginning = question && (await deps.idempotency.begin(question, admission.signal, checkRoom));
    if (beginning?.kind === "replay") {
      watch.letIn("replayed");
      call.onAdmitted?.({ requestId, meters: [] });
      yield* beginning.pieces;
    } else {
      if (!beginning) checkRoom();
      const pieces = serve(deps, request, admission, call, watch);
      yield* beginning ? recorded(beginning.recording, sampling.n ?? 1, pieces) : pieces;
    }
    watch.completed();
  } catch (error) {
    throw watch.failed(error);
  }
}

/** From the tenant's limits through the queue to the last piece. */
async function* serve(
  deps: InferenceDeps,
  request: GenerateRequest,
  admission: Admission,
  call: Call,
  watch: RequestWatch,
): AsyncGenerator<GenerateResponse> {
  const { requestId, target, ask, sampling, claimFacts, nodeFields, firstToken: onFirstToken } = admission;
  const progress = new RequestProgress(ask.rows);
  const meter = new RequestMeter(deps, claimFacts);
  const tell = (meters: Admitted["meters"]) => call.onAdmitted?.({ requestId, meters });
  const taking = admission.limited ? deps.limits.take(admission.limited, tell) : NOTHING_TAKEN;
  const taken = taking instanceof Promise ? await taking : taking; // Without a limit, without a turn of the event loop.
  try {
    tell(taken.meters);
    const entered = deps.dispatcher.queue.enter(ask, admission.signal, call.deadlineAt);
    using turn = entered instanceof Promise ? await entered : entered;
    watch.letIn(taken.withoutStore ? "admitted_without_store" : "admitted");
    const { prompt, echo } = request;
    const generation = {
      ...{ requestId, model: target.model, baseName: target.baseName, ask, turn },
      ...{ progress, meter, trace: watch.trace, startedAt: watch.startedAt, onFirstToken },
      nodeRequest: { ...nodeFields, prompt, sampling, echo },
    };
    yield* streamGeneration(deps, generation, admission.signal);
  } finally {
    watch.served(progress.usage);
    await settle(taken, admission, watch.admitted ? progress.usage : undefined, meter);
  }
}

/** Keeps what passes for who asks the same again. */
async function* recorded(recording: Recording, choices: number, pieces: AsyncIterable<GenerateResponse>): AsyncGenerator<GenerateResponse> {
  let open = choices;
  try {
    for await (const piece of pieces) {
      recording.take(piece);
      if (ends(piece)) open--;
      yield piece;
    }
  } finally {
    recording.end(open === 0);
  }
}

async function score(deps: InferenceDeps, request: ScoreRequest, call: Call): Promise<ScoreResponse> {
  using watch = watchRequest(deps, "score", call.trace);
  try {
    const { model, prompt, logprobs } = request;
    checkModel(model);
    checkPrompt(prompt);
    checkTopLogprobs(logprobs);
    const requestId = call.requestId ?? newRequestId(deps);
    using admission = admit(deps, call.principal, { requestId, model, prompt, sampling: undefined, takesRow: true }, call.signal);
    watch.known(admission);
    deps.dispatcher.queue.check(admission.ask, call.deadlineAt);
    const tell = (meters: Admitted["meters"]) => call.onAdmitted?.({ requestId, meters });
    const taken = admission.limited ? await deps.limits.take(admission.limited, tell) : NOTHING_TAKEN;
    const meter = new RequestMeter(deps, admission.claimFacts);
    let usage: Usage | undefined;
    try {
      tell(taken.meters);
      const question = { ...admission.nodeFields, prompt, logprobs };
      const { scored, serving } = await deps.dispatcher.ask(
        admission.ask,
        admission.signal,
        async ({ client, node, attempt }) => {
          watch.letIn(taken.withoutStore ? "admitted_without_store" : "admitted");
          return { scored: await client.score(question, admission.signal), serving: { attempt, nodeId: node.id } };
        },
        call.deadlineAt,
      );
      usage = { promptTokens: 0, cachedTokens: 0, ...scored.usage, completionTokens: 0 };
      await meter.settle("completed", usage, serving);
      watch.served(usage);
      watch.completed();
      return { requestId, model: admission.target.model, tokens: scored.tokens, usage };
    } finally {
      await settle(taken, admission, usage, meter);
    }
  } catch (error) {
    throw watch.failed(error);
  }
}

async function countTokens(deps: InferenceDeps, principal: Principal, { model, prompt }: CountTokensRequest, signal: AbortSignal) {
  checkModel(model);
  checkPrompt(prompt);
  const requestId = newRequestId(deps);
  using admission = admit(deps, principal, { requestId, model, prompt, sampling: undefined, takesRow: false }, signal);
  const question = { baseDigest: admission.target.baseDigest, prompt };
  return await deps.dispatcher.ask(admission.ask, admission.signal, ({ client }) => client.countTokens(question, admission.signal));
}

async function settle(taken: Taken, { limited }: Admission, usage: Usage | undefined, meter: RequestMeter): Promise<void> {
  const settled = taken.settle(usage, meter.claimed ? "stays" : "ends");
  // Who may run only so many at once counts on the end that it has seen; nobody else waits for the store.
  if (limited?.tenant.limits.concurrentRequests !== undefined) await settled;
}

/** With a seed, so that every attempt draws the same. The base's own defaults are the node's to fill in. */
function completeSampling(wish: Sampling | undefined, seed: string): Sampling {
  const sampling = { ...Sampling.create(), ...wish };
  return { ...sampling, seed: sampling.seed ?? seed };
}
