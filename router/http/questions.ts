import { Fault, type Millis, type RequestId, sha256Hex, type TraceContext, toFault } from "#kernel";
import { FinishReason, type GenerateResponse } from "#proto";
import type { Admitted, InferenceCore, Principal } from "../contract.ts";
import { partOf } from "../request-id.ts";
import { askAll, type BatchPiece } from "./batch.ts";
import type { Question } from "./endpoint.ts";

export interface Asking {
  readonly principal: Principal;
  /** Of the HTTP request; several questions get ids of their own that begin with it. */
  readonly requestId: RequestId;
  /** The client's, empty for none. */
  readonly idempotencyKey: string;
  readonly deadlineAt: Millis | undefined;
  /** The client's own span. */
  readonly trace: TraceContext | undefined;
  readonly signal: AbortSignal;
  readonly onAdmitted: (admitted: Admitted) => void;
  /** What the client calls the prompt of a question. */
  readonly promptField: (question: number) => string;
}

/** Asks the core all questions of one HTTP request. @throws what the core throws, in the client's words */
export function askCore(core: InferenceCore, questions: readonly Question[], asking: Asking): AsyncIterable<BatchPiece> {
  if (asking.idempotencyKey !== "" && questions.some((question) => question.kind === "score")) {
    const detail = { field: "idempotency-key" };
    throw new Fault("parameter_unsupported", "an idempotency key is not supported where nothing is generated", { detail });
  }
  if (questions.length === 1) return askOne(core, questions, 0, asking);
  const abandoned = new AbortController();
  const signal = AbortSignal.any([asking.signal, abandoned.signal]);
  const ask = (index: number) => askOne(core, questions, index, { ...asking, signal });
  return askAll(ask, questions.length, () => abandoned.abort(new Fault("client_gone", "another prompt of the same request failed")));
}

async function* askOne(
  core: InferenceCore,
  questions: readonly Question[],
  index: number,
  { principal, requestId, idempotencyKey, deadlineAt, trace, signal, onAdmitted, promptField }: Asking,
): AsyncGenerator<BatchPiece> {
  const question = questions[index]!;
  const context = { requestId: questions.length === 1 ? requestId : partOf(requestId, index), deadlineAt, trace };
  try {
    if (question.kind === "score") {
      const { tokens, ...scored } = await core.score(principal, question.request, signal, onAdmitted, context);
      yield { question: index, piece: { ...SCORED, ...scored, prompt: tokens } };
    } else {
      const request = { ...question.request, idempotencyKey: keyOf(idempotencyKey, index) };
      for await (const piece of core.generate(principal, request, signal, onAdmitted, context)) yield { question: index, piece };
    }
  } catch (error) {
    signal.throwIfAborted();
    throw inClientsWords(toFault(error), promptField(index));
  }
}

const SCORED: GenerateResponse = {
  requestId: "",
  model: "",
  choice: 0,
  text: "",
  tokenIds: [],
  logprobs: [],
  finishReason: FinishReason.FINISH_REASON_LENGTH,
  usage: undefined,
  fingerprint: "",
  prompt: [],
};

/** The first question has the client's own key, so that a key used for a batch is known when it comes with one prompt; the others need their own. */
function keyOf(key: string, index: number): string {
  return key === "" || index === 0 ? key : `${sha256Hex(key)}-${index}`;
}

/** The wire's names of a prompt, and the node's. */
const PROMPT = /^prompt(\.text|\.tokens|\.chat(\.messages)?)?/;

function inClientsWords(fault: Fault, promptField: string): Fault {
  const { field } = fault.detail;
  if (field === undefined || !PROMPT.test(field)) return fault;
  const detail = { ...fault.detail, field: field.replace(PROMPT, promptField) };
  return new Fault(fault.reason, fault.message, { detail, retry: fault.retry, cause: fault });
}
