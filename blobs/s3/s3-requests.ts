import type { S3Client } from "@aws-sdk/client-s3";
import { type Clock, type Millis, type Random, SECOND } from "#kernel";
import type { BlobObserver } from "../contract.ts";
import { Turnstile } from "../turnstile.ts";
import { blobsUnavailable, failureOf, type S3Failure } from "./s3-failure.ts";

export interface S3Retries {
  /** Of one request, or of a download without a byte of progress. */
  readonly triesMax: number;
  readonly backoffMsMin: Millis;
  readonly backoffMsMax: Millis;
  /** An answer that gives no byte for so long is given up, and asked for again. */
  readonly silenceMsMax: Millis;
}

/** With full jitter about 10 s in all: a store that throttles or restarts is back by then, and a client still waits. */
export const S3_RETRIES: S3Retries = { triesMax: 8, backoffMsMin: 100, backoffMsMax: 5 * SECOND, silenceMsMax: 30 * SECOND };

/** Of all uploads together, at 8 MiB each. */
const BODIES_AT_ONCE = 16;

type Outcome<T> = { readonly kind: "answer"; readonly answer: T } | Extract<S3Failure, { kind: "missing" | "changed" }>;

/** Sends requests, again and later while failures are passing; the one place that does. */
export class S3Requests {
  readonly client: S3Client;
  readonly clock: Clock;
  readonly retries: S3Retries;
  readonly observer: BlobObserver;
  /** Whoever holds bytes in memory while they are sent. */
  readonly bodies = new Turnstile(BODIES_AT_ONCE);
  readonly #random: Random;

  constructor(
    client: S3Client,
    deps: { readonly clock: Clock; readonly random: Random; readonly observer: BlobObserver },
    retries: S3Retries,
  ) {
    this.client = client;
    this.clock = deps.clock;
    this.observer = deps.observer;
    this.retries = retries;
    this.#random = deps.random;
  }

  /** What is missing, or was replaced, is a value. @throws Fault blobs_unavailable; the signal's reason */
  async ask<T>(
    operation: string,
    signal: AbortSignal | undefined,
    send: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<Outcome<T>> {
    for (let tries = 1; ; tries++) {
      signal?.throwIfAborted();
      try {
        const answer = await send(signal);
        this.observer.requested(operation, "ok");
        return { kind: "answer", answer };
      } catch (error) {
        const settled = await this.failed(operation, error, tries, signal);
        if (settled) return settled;
      }
    }
  }

  /** Like {@link ask}, of what can't be missing. */
  async demand<T>(operation: string, signal: AbortSignal | undefined, send: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    const outcome = await this.ask(operation, signal, send);
    if (outcome.kind === "answer") return outcome.answer;
    throw blobsUnavailable(operation, { kind: "refused", why: `it says that what was asked for is ${outcome.kind}` }, undefined);
  }

  /** Waits until it may be tried again; gives the failure when there is no sense in that. @throws Fault blobs_unavailable */
  async failed(operation: string, error: unknown, tries: number, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    const failure = failureOf(error);
    if (failure.kind === "missing" || failure.kind === "changed") {
      this.observer.requested(operation, "ok");
      return failure;
    }
    if (failure.kind === "refused" || tries >= this.retries.triesMax) {
      this.observer.requested(operation, "failed");
      throw blobsUnavailable(operation, failure, error);
    }
    this.observer.requested(operation, "retried");
    const { backoffMsMin, backoffMsMax } = this.retries;
    await this.clock.after(this.#random.float() * Math.min(backoffMsMax, backoffMsMin * 2 ** tries), signal);
    return undefined;
  }
}
