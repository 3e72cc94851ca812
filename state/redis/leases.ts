import type { Millis } from "#kernel";
import type { Lease, Leases } from "../contract.ts";
import { checkDuration, checkNames } from "../limits.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { StoreTime } from "./store-time.ts";

/** A hash per lease, by the server's time. */
export class RedisLeases implements Leases {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #time: StoreTime;

  constructor(connection: RedisConnection, keys: RedisKeys, time: StoreTime) {
    this.#connection = connection;
    this.#keys = keys;
    this.#time = time;
  }

  async acquire(name: string, holder: string, termMs: Millis): Promise<Lease> {
    checkNames({ name, holder });
    checkDuration("termMs", termMs);
    const reply = await this.#connection.run("leases-acquire", [this.#keys.lease(name)], [holder, termMs, this.#time()]);
    const [held, first, leftMs] = reply as [number, string, string];
    return held === 1 ? { kind: "held", epoch: Number(first) } : { kind: "taken", holder: first, leftMs: Number(leftMs) };
  }

  async release(name: string, holder: string): Promise<void> {
    checkNames({ name, holder });
    await this.#connection.run("leases-release", [this.#keys.lease(name)], [holder]);
  }
}
