import { assert } from "./assert.ts";

/**
 * A queue between one or more producers and one consumer, with a stated bound. A full queue refuses (`offer` gives
 * false): what then happens is the producer's decision, never silent growth.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  readonly #depthMax: number;
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

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

  /** Adds an item. False when the queue is full or has ended: the item was not taken. */
  offer(item: T): boolean {
    if (this.#end || this.#items.length >= this.#depthMax) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  /** No more items; the consumer gets what is queued, then the end. Idempotent. */
  finish(): void {
    this.#end ??= {};
    this.#wake?.();
  }

  /** No more items; the consumer gets what is queued, then the error. Idempotent. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        yield item;
        continue;
      }
      if (this.#end) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
