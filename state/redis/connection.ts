import type { Cluster, Redis } from "ioredis";
import { type Clock, Fault, type Log, type Millis } from "#kernel";
import type { RedisAddress } from "./address.ts";
import { createClient } from "./client.ts";
import { Deadlines } from "./deadlines.ts";
import type { RedisKey } from "./keys.ts";
import { Link } from "./link.ts";
import { isDamage, isUnknownScript, redisFault, unreachable } from "./redis-fault.ts";
import type { ScriptName, Scripts } from "./scripts.ts";

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly log?: Log;
  readonly scripts: Scripts;
}

export interface ConnectionOptions {
  /** A reply that takes longer is lost. Default 2 s: far more than a healthy server takes, and short for one who waits. */
  readonly callMs?: Millis;
  /** How long a lost connection is waited for before calls fail at once. Default 1 s: a restart, not an outage. */
  readonly bridgeMs?: Millis;
  /** How long the first connection may take. Default 5 s. */
  readonly openMs?: Millis;
  readonly ca?: string;
}

const CALL_MS: Millis = 2_000;
const BRIDGE_MS: Millis = 1_000;
const OPEN_MS: Millis = 5_000;
/** More would only wait for one another. */
const CALLS_MAX = 20_000;

/** A connection to a Redis, or to all nodes of a cluster. Every error it throws is a Fault. */
export class RedisConnection implements AsyncDisposable {
  readonly #deps: ConnectionDeps;
  readonly #address: RedisAddress;
  readonly #options: ConnectionOptions;
  readonly #client: Redis | Cluster;
  readonly #link: Link;
  readonly #deadlines: Deadlines;
  #lastError = "no connection";
  #closed: Promise<void> | undefined;

  constructor(deps: ConnectionDeps, address: RedisAddress, options: ConnectionOptions = {}) {
    this.#deps = deps;
    this.#address = address;
    this.#options = options;
    const callMs = options.callMs ?? CALL_MS;
    this.#client = createClient(address, { socketMs: callMs, ...(options.ca === undefined ? {} : { ca: options.ca }) });
    this.#link = new Link(deps.clock, options.openMs ?? OPEN_MS);
    this.#deadlines = new Deadlines(deps.clock, callMs);
    this.#follow();
  }

  /** For messages: the address without the password. */
  get server(): string {
    return this.#address.text;
  }

  get clustered(): boolean {
    return this.#address.cluster;
  }

  /** Resolves when the first connection stands. @throws Fault store_unreachable */
  async open(): Promise<void> {
    this.#client.connect().catch(() => undefined); // Tried again until it works; the link tells how long it is waited for.
    await this.#link.ready(() => this.#unreachable());
  }

  /** Another connection to the same server, not open yet. */
  another(options: ConnectionOptions): RedisConnection {
    return new RedisConnection(this.#deps, this.#address, { ...this.#options, ...options });
  }

  /** What a script returns. All keys must have the same tag. */
  async run(script: ScriptName, keys: readonly RedisKey[], args: readonly (string | number)[]): Promise<unknown> {
    const { sha1, lua } = this.#deps.scripts[script];
    const rest = [keys.length, ...keys.map((key) => key.name), ...args];
    return this.#named(keys, async () => {
      try {
        return await this.#send("EVALSHA", [sha1, ...rest]);
      } catch (error) {
        if (!isUnknownScript(error)) throw error;
        return await this.#send("EVAL", [lua, ...rest]); // It did not run, so that this is no second time.
      }
    });
  }

  /** What a command on one key returns. */
  async command(name: string, key: RedisKey, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#named([key], () => this.#send(name, [key.name, ...args]));
  }

  /** XREAD's key is in the middle. Resolves when the stream has an entry after `id`, or after `blockMs`. */
  async blockUntilEntry(stream: RedisKey, id: string, blockMs: Millis): Promise<void> {
    await this.#named([stream], () => this.#send("XREAD", ["COUNT", 1, "BLOCK", blockMs, "STREAMS", stream.name, id]));
  }

  /** What a command without a key returns on each primary. */
  async onEachPrimary(name: string, ...args: readonly (string | number)[]): Promise<readonly unknown[]> {
    const nodes = "nodes" in this.#client ? this.#client.nodes("master") : [this.#client];
    return this.#guarded(() => Promise.all(nodes.map((node) => node.call(name, [...args]))));
  }

  /** Waits for the replies that are owed, then closes. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Closes at once: what is on its way fails. */
  abandon(): void {
    this.#closed ??= Promise.resolve();
    this.#link.down();
    this.#client.disconnect();
  }

  async #close(): Promise<void> {
    this.#link.down();
    await this.#deadlines.idle();
    this.#client.disconnect();
  }

  /** A call whose faults name the key at fault. */
  async #named(keys: readonly RedisKey[], call: () => Promise<unknown>): Promise<unknown> {
    try {
      return await this.#guarded(call);
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      if (!isDamage(cause)) throw error;
      const wrong = await this.#mistyped(keys);
      throw wrong === undefined ? error : new Fault("checksum_mismatch", `${this.server}: ${wrong}`, { cause });
    }
  }

  async #guarded<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new Fault("store_unreachable", "the store is closed");
    if (this.#deadlines.size >= CALLS_MAX) throw unreachable(this.server, `${CALLS_MAX} calls wait already`);
    try {
      await this.#link.ready(() => this.#unreachable());
      return await this.#deadlines.within(call(), () => unreachable(this.server, "a reply is late"));
    } catch (error) {
      throw redisFault(this.server, error);
    }
  }

  #send(command: string, args: (string | number)[]): Promise<unknown> {
    return this.#client.call(command, args);
  }

  /** Which key holds something of another type. */
  async #mistyped(keys: readonly RedisKey[]): Promise<string | undefined> {
    for (const key of keys) {
      const type = await this.#guarded(() => this.#send("TYPE", [key.name]));
      if (type !== "none" && type !== key.type) return `the key ${key.name} holds a ${type}, not a ${key.type}`;
    }
    return undefined;
  }

  #unreachable(): Fault {
    return unreachable(this.server, this.#lastError);
  }

  #follow(): void {
    const { log } = this.#deps;
    let complained = false;
    this.#client.on("error", (error: Error) => {
      this.#lastError = causeOf(error);
    });
    this.#client.on("close", () => {
      if (this.#closed) return;
      if (!complained) log?.warn({ server: this.server, why: this.#lastError }, "no connection to the store");
      complained = true;
      this.#link.lost(this.#options.bridgeMs ?? BRIDGE_MS);
    });
    this.#client.on("ready", () => {
      if (this.#closed) return;
      if (complained) log?.info({ server: this.server }, "the connection to the store is back");
      complained = false;
      this.#lastError = "the connection broke";
      this.#link.up();
    });
  }
}

/** What went wrong with the last node, when all of a cluster failed; else the error's own words. */
function causeOf(error: Error): string {
  const last = "lastNodeError" in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
  return last.message || (last as NodeJS.ErrnoException).code || last.name;
}
