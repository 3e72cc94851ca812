import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { assert, BoundedQueue } from "#kernel";

/** Messages that came before their reader; what is more stays with the transport, whose window then closes. */
const AHEAD_MAX = 4;
/** One more may come while the stream is told to wait. */
const DEPTH_MAX = 2 * AHEAD_MAX;

export interface ReceivingOptions {
  readonly signal?: AbortSignal | undefined;
  /** What a failure of the call, or of its beginning, means to the reader. Not asked when the signal has aborted: then that has the reason. */
  readonly meaning: (error: unknown) => unknown;
}

/**
 * The messages of a server's stream, as they are asked for; the call begins with the first, and ends when the reader leaves.
 * By hand, not with the stream's own iterator: that takes several turns of the event loop for a message, and a router hands on
 * thousands in a second.
 */
export class ReceivedMessages<R> implements AsyncIterableIterator<R, undefined> {
  readonly #open: () => Promise<ClientReadableStream<R>>;
  readonly #options: ReceivingOptions;
  readonly #queue = new BoundedQueue<R>(DEPTH_MAX);
  readonly #cancel = () => this.#stream?.cancel();
  #begun = false;
  #stream: ClientReadableStream<R> | undefined;

  constructor(open: () => Promise<ClientReadableStream<R>>, options: ReceivingOptions) {
    this.#open = open;
    this.#options = options;
  }

  next(): Promise<IteratorResult<R, undefined>> {
    if (!this.#begun) void this.#begin();
    const next = this.#queue.next();
    if (this.#stream?.isPaused()) this.#stream.resume();
    return next;
  }

  /** The reader leaves. */
  async return(): Promise<IteratorResult<R, undefined>> {
    this.#begun = true;
    this.#queue.finish();
    this.#cancel();
    this.#release();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #begin(): Promise<void> {
    this.#begun = true;
    try {
      const stream = await this.#open();
      this.#stream = stream;
      this.#options.signal?.addEventListener("abort", this.#cancel, { once: true });
      if (this.#queue.ended) this.#cancel(); // The reader has left meanwhile.
      this.#listen(stream);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A failure shows before the messages that came ahead of it have been read: it is told with the end, which does not. */
  #listen(stream: ClientReadableStream<R>): void {
    let failure: ServiceError | undefined;
    stream.on("error", (error: ServiceError) => {
      failure = error;
    });
    stream.on("end", () => {
      this.#release();
      if (failure) this.#fail(failure);
      else this.#queue.finish();
    });
    stream.on("data", (message: R) => {
      if (this.#queue.ended) return;
      assert(this.#queue.offer(message), "a stream that was told to wait went on");
      if (this.#queue.depth >= AHEAD_MAX) stream.pause();
    });
  }

  #fail(error: unknown): void {
    const { signal, meaning } = this.#options;
    this.#queue.fail(signal?.aborted ? signal.reason : meaning(error));
  }

  #release(): void {
    this.#options.signal?.removeEventListener("abort", this.#cancel);
  }
}
