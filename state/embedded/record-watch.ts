import type { Fault } from "#kernel";
import type { RecordChange } from "../contract.ts";

/**
 * What one watcher has not read yet: per key the latest change only. So it is never larger than the number of records
 * ever seen under the prefix, however slow the watcher is; it may miss a version between, never the last one.
 */
export class RecordWatch {
  readonly #prefix: string;
  readonly #unread: Map<string, RecordChange>;
  #failure: Fault | undefined;
  #wake: (() => void) | undefined;

  constructor(prefix: string, present: readonly RecordChange[]) {
    this.#prefix = prefix;
    this.#unread = new Map(present.map((record) => [record.key, record]));
  }

  offer(change: RecordChange): void {
    if (!change.key.startsWith(this.#prefix)) return;
    this.#unread.delete(change.key); // A key that changes again goes to the end: changes come in the order of their versions.
    this.#unread.set(change.key, change);
    this.#wake?.();
  }

  /** Ends the watch once what is unread has been read. */
  fail(fault: Fault): void {
    this.#failure = fault;
    this.#wake?.();
  }

  async *changes(signal: AbortSignal): AsyncGenerator<RecordChange> {
    const abort = () => this.#wake?.();
    signal.addEventListener("abort", abort);
    try {
      while (!signal.aborted) {
        const [next] = this.#unread.values();
        if (next) {
          this.#unread.delete(next.key);
          yield next;
        } else if (this.#failure) {
          throw this.#failure;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}
