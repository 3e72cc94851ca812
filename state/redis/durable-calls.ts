import type { Millis } from "#kernel";
import type { RedisConnection } from "./connection.ts";
import { unreachable } from "./redis-fault.ts";

/** How long the server may take until what it executed is on its disk. */
export const DISK_MS_MAX: Millis = 3_000;

interface Group {
  readonly calls: (() => Promise<unknown>)[];
  readonly done: Promise<void>;
}

/**
 * Calls that resolve once what they wrote is on disk. WAITAOF waits for the writes of its own connection, and nothing
 * else runs there meanwhile: so calls go out in groups on a connection of their own, each group with one wait, and those
 * that come during a wait make up the next group.
 */
export class DurableCalls implements AsyncDisposable {
  readonly #connection: RedisConnection;
  /** What is on its way. */
  #running: Promise<void> = Promise.resolve();
  #next: Group | undefined;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** @throws Fault store_unreachable, also when the disk is too slow: whether the call was executed is not known then. */
  async run<T>(call: (connection: RedisConnection) => Promise<T>): Promise<T> {
    this.#next ??= this.#begin();
    const group = this.#next;
    const result = Promise.withResolvers<T>();
    result.promise.catch(() => undefined); // Heard below, after the wait.
    group.calls.push(() => call(this.#connection).then(result.resolve, result.reject));
    await group.done;
    return result.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  #begin(): Group {
    const calls: Group["calls"] = [];
    const done = this.#running.then(async () => {
      this.#next = undefined;
      await Promise.all(calls.map((call) => call()));
      await this.#waitForDisk();
    });
    this.#running = done.catch(() => undefined);
    return { calls, done };
  }

  async #waitForDisk(): Promise<void> {
    const replies = await this.#connection.onEachPrimary("WAITAOF", 1, 0, DISK_MS_MAX);
    for (const reply of replies) {
      const [disks] = reply as [number, number];
      if (disks < 1) throw unreachable(this.#connection.server, "its disk is slow: what was written may not be durable");
    }
  }
}
