import { type Bytes, type Clock, every, Fault, isFault, type Log, MIB, MINUTE, type Millis, SECOND } from "#kernel";
import type { GenerateResponse } from "#proto";
import type { Answers } from "#state";
import { decodeAnswer, encodeAnswer, RecordedAnswer } from "./recorded-answer.ts";
import type { Question } from "./request-identity.ts";

/** For how long a repetition gets the same answer: as long as anyone retries. */
const KEEP_MS: Millis = 24 * 60 * MINUTE;
/**
 * After a router's death its key is free again this soon. Longer than any pause of a living one; should two be at it all
 * the same, they have one id, one seed and one charge.
 */
const TERM_MS: Millis = 6 * SECOND;
/** Three tries before a term is over. */
const RENEW_MS: Millis = TERM_MS / 3;
/** A larger answer is not kept: a repetition is generated again, under the same id. A million characters are no chat. */
const ANSWER_BYTES_MAX: Bytes = MIB;
/** Of all answers that are being recorded. */
const RECORDED_BYTES_MAX: Bytes = 256 * MIB;
/** Whoever finds the request running elsewhere is asked to come again after this, or sooner when its term ends. */
const RETRY_MS: Millis = SECOND;

export interface IdempotencyDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly answers: Answers;
  /** Who this is, among those that share the store: another one in every life. */
  readonly holder: string;
}

/** What to do with a question. */
export type Beginning =
  | { readonly kind: "answer"; readonly recording: Recording }
  | { readonly kind: "replay"; readonly pieces: readonly GenerateResponse[] };

/** An answer on its way. End it once, whatever became of it. */
export interface Recording {
  take(piece: GenerateResponse): void;
  /** `whole`: every choice has ended, so that a repetition gets this; anything less is forgotten, and generated again. */
  end(whole: boolean): void;
}

interface Running {
  readonly digest: string;
  /** Gives the whole answer; undefined when there is none to be given again. */
  readonly ended: Promise<readonly GenerateResponse[] | undefined>;
}

/** Answers each question once: the first to ask it has it generated, all others get what that one got. */
export class Idempotency {
  readonly #deps: IdempotencyDeps;
  /** In this router, by account and key. */
  readonly #running = new Map<string, Running>();
  readonly #storing = new Set<Promise<void>>();
  #recordedBytes: Bytes = 0;

  constructor(deps: IdempotencyDeps) {
    this.#deps = deps;
  }

  /**
   * Waits for the answer when the question is being answered in this router.
   * @param check whether there is room for one more generation; asked before the store is
   * @throws Fault idempotency_key_reused; request_running when another router is at it
   */
  async begin(question: Question, signal: AbortSignal, check: () => void): Promise<Beginning> {
    const name = `${question.account} ${question.key}`;
    for (let running = this.#running.get(name); running; running = this.#running.get(name)) {
      if (running.digest !== question.digest) throw reused();
      const pieces = await untilEnded(running.ended, signal);
      if (pieces) return { kind: "replay", pieces };
    }
    check();
    const { promise: ended, resolve: end } = Promise.withResolvers<readonly GenerateResponse[] | undefined>();
    this.#running.set(name, { digest: question.digest, ended });
    const forget = (pieces?: readonly GenerateResponse[]) => {
      end(pieces);
      this.#running.delete(name);
    };
    try {
      const stored = await this.#ask(question);
      if (stored.kind === "done") {
        const pieces = decodeAnswer(stored.answer);
        forget(pieces);
        return { kind: "replay", pieces };
      }
      return { kind: "answer", recording: this.#record(question, stored.kind === "begun", end, forget) };
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** Resolves when nothing is being told to the store. */
  async settled(): Promise<void> {
    while (this.#storing.size > 0) await Promise.all(this.#storing);
  }

  /** `unknown`: the store does not answer. Id and seed see to it that even then nothing is charged twice. */
  async #ask(question: Question) {
    const begun = await this.#begin(question);
    if (begun.kind === "other_question") throw reused();
    if (begun.kind !== "running") return begun;
    const waitMs = Math.min(RETRY_MS, Math.max(1, begun.leftMs));
    throw new Fault("request_running", "a request with this idempotency key is still being answered", { retry: { kind: "after", waitMs } });
  }

  async #begin({ account, key, digest }: Question) {
    const { answers, holder, log } = this.#deps;
    try {
      return await answers.begin({ account, key, digest, holder, termMs: TERM_MS });
    } catch (error) {
      if (!isFault(error, "store_unreachable")) throw error;
      log.warn({ err: error }, "the store does not answer; a repetition of this request may be generated again");
      return { kind: "unknown" } as const;
    }
  }

  #record(
    question: Question,
    stored: boolean,
    end: (pieces: readonly GenerateResponse[] | undefined) => void,
    forget: () => void,
  ): Recording {
    const over = new AbortController();
    if (stored) this.#track(every(this.#deps.clock, RENEW_MS, over.signal, async () => void (await this.#begin(question))));
    let answer: RecordedAnswer | undefined = new RecordedAnswer();
    let sizeBytes: Bytes = 0;
    const count = (size: Bytes) => {
      this.#recordedBytes += size - sizeBytes;
      sizeBytes = size;
    };
    return {
      take: (piece) => {
        answer?.take(piece);
        count(answer?.sizeBytes ?? 0);
        if (sizeBytes <= ANSWER_BYTES_MAX && this.#recordedBytes <= RECORDED_BYTES_MAX) return;
        answer = undefined;
        count(0);
      },
      end: (whole) => {
        over.abort();
        count(0);
        const pieces = whole ? answer?.pieces() : undefined;
        end(pieces);
        // Until the store has it, repetitions find it here.
        this.#track((stored ? this.#store(question, pieces) : Promise.resolve()).finally(forget));
      },
    };
  }

  async #store({ account, key }: Question, pieces: readonly GenerateResponse[] | undefined): Promise<void> {
    const { answers, holder, log } = this.#deps;
    try {
      if (pieces) await answers.finish(account, key, holder, encodeAnswer(pieces), KEEP_MS);
      else await answers.abandon(account, key, holder);
    } catch (error) {
      log.warn({ err: error }, "an answer could not be kept for its idempotency key; a repetition is generated again");
    }
  }

  #track(work: Promise<void>): void {
    const storing = work
      .catch((error: unknown) => this.#deps.log.error({ err: error }, "an idempotency key could not be kept"))
      .finally(() => this.#storing.delete(storing));
    this.#storing.add(storing);
  }
}

async function untilEnded<T>(ended: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([ended, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function reused(): Fault {
  return new Fault("idempotency_key_reused", "the idempotency key was used for another request", { detail: { field: "idempotency_key" } });
}
