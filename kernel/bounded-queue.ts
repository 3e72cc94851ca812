import { assert } from "./assert.ts";

/**
 * A queue between one or more producers and one consumer, with a stated bound. A full queue refuses (`offer` gives
 * false): what then happens is the producer's decision, never silent growth.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  readonly #depthMax: number;
  #end: { readonly error?: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined;

  constructor(depthMax: number) {
    assert(depthMax > 0, "a queue needs room for one item");
    this.#depthMax = depthMax;
  }

  get depth(): number {
    return this.#items.length;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Adds an item, or hands it to a consumer that waits. False when the queue is full or has ended: the item was not taken. */
  offer(item: T): boolean {
    if (this.#end) return false;
    if (this.#waiting) {
      this.#waiting.resolve({ done: false, value: item });
      this.#waiting = undefined;
      return true;
    }
    if (this.#items.length >= this.#depthMax) return false;
    this.#items.push(item);
    return true;
  }

  /** No more items; the consumer gets what is queued, then the end. Idempotent. */
  finish(): void {
    if (this.#end) return;
    this.#end = {};
    this.#waiting?.resolve(OVER);
  }

  /** No more items; the consumer gets what is queued, then the error. Idempotent. */
  fail(error: unknown): void {
    if (this.#end) return;
    this.#end = { error };
    this.#waiting?.reject(error);
  }

  /** The next item, when there is one. By hand, not as a generator: every token of every text passes through here, more than once. */
  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve({ done: false, value: item });
    if (this.#end) return "error" in this.#end ? Promise.reject(this.#end.error) : Promise.resolve(OVER);
    assert(!this.#waiting, "a queue has one consumer, which waits for one item at a time");
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return { next: () => this.next() };
  }
}

const OVER = { done: true, value: undefined } as const;
