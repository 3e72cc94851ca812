import { type Clock, type Discovery, Fault, type Log, type Millis, parseAddress, type Random, SECOND } from "#kernel";
import { checkName } from "../limits.ts";
import { parseRedisUrl } from "./address.ts";
import { type ConnectionOptions, RedisConnection } from "./connection.ts";
import { checkPrefix, DEFAULT_PREFIX, RedisKeys } from "./keys.ts";
import { Roster } from "./roster.ts";
import { loadScripts } from "./scripts.ts";
import { SERVER_TIME, type StoreTime } from "./store-time.ts";

/** Somebody who wants to be found. */
export interface Member {
  /** What it is, say `router`: by this others look for it. */
  readonly kind: string;
  /** Of the processes of this name the last one counts, so that one that was started again takes the place of the one before. */
  readonly name: string;
  /** `host:port` */
  readonly address: string;
}

/** Where the parts of a cluster find each other. Nothing here ever waits for the registry or fails because of it: old news beat none. */
export interface Registry extends AsyncDisposable {
  /** Announces this process from now on, under a term that is renewed until it is disposed; then it leaves. */
  announce(member: Member): void;
  /** Says that this process goes away soon. */
  drain(): void;
  /** Who is announced as this. */
  discovery(kind: string): Discovery;
  /** Since the registry last said anything; undefined when it never did. */
  ageMs(): Millis | undefined;
}

export interface RegistryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Told whenever the registry could not be asked. */
  readonly onFailure?: () => void;
}

export interface RegistryOptions extends ConnectionOptions {
  /** As of the store: see {@link openRedisStore}. */
  readonly prefix?: string;
  /** Instead of the server's own time; for tests. */
  readonly time?: StoreTime;
  /** Who was not heard for so long is gone. */
  readonly termMs?: Millis;
  /** From one look to the next at most. */
  readonly beatMs?: Millis;
}

/** Who died is forgotten after this; those who called it knew long before, by their connection. Four lost beats do no harm. */
const TERM_MS: Millis = 5 * SECOND;
/** So soon others know who has come. A thousand nodes ask a thousand times a second: a hundredth of what a Redis can do. */
const BEAT_MS: Millis = SECOND;
/** A registry that does not answer is asked again at the next beat. */
const CALL_MS: Millis = 2 * SECOND;
/** As many as are followed; see `followPeers`. */
const MEMBERS_MAX = 1_000;

/**
 * Opens a registry in a Redis, without waiting for it. {@link parseRedisUrl} says what `url` may be.
 *
 * @throws Fault parameter_invalid for a URL that is none
 */
export async function openRedisRegistry(url: string, deps: RegistryDeps, options: RegistryOptions = {}): Promise<Registry> {
  const keys = new RedisKeys(checkPrefix(options.prefix ?? DEFAULT_PREFIX));
  const connection = new RedisConnection(
    { clock: deps.clock, log: deps.log, scripts: await loadScripts() },
    parseRedisUrl(url, "registry"),
    {
      callMs: CALL_MS,
      openMs: SECOND,
      ...options,
    },
  );
  return new RedisRegistry(deps, connection, keys, options);
}

class RedisRegistry implements Registry {
  readonly #deps: RegistryDeps;
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #time: StoreTime;
  readonly #termMs: Millis;
  readonly #beatMs: Millis;
  readonly #roster: Roster;
  readonly #stop = new AbortController();
  /** Tells this process from another one of its name. */
  readonly #generation: string;
  readonly #running: Promise<void>;
  #bell = new AbortController();
  #member: Member | undefined;
  #draining = false;
  /** Given by the registry with the first announcement. */
  #epoch = "";
  /** What is wrong, as the log was told. */
  #complaint: string | undefined;
  #heardAt: Millis | undefined;
  #closing: Promise<void> | undefined;

  constructor(deps: RegistryDeps, connection: RedisConnection, keys: RedisKeys, options: RegistryOptions) {
    this.#deps = deps;
    this.#connection = connection;
    this.#keys = keys;
    this.#time = options.time ?? SERVER_TIME;
    this.#termMs = options.termMs ?? TERM_MS;
    this.#beatMs = options.beatMs ?? BEAT_MS;
    this.#roster = new Roster(this.#termMs);
    this.#generation = deps.random.bits().toString(16);
    this.#running = this.#run();
  }

  announce(member: Member): void {
    checkMember(member);
    this.#member = member;
    this.#bell.abort();
  }

  drain(): void {
    this.#draining = true;
    this.#bell.abort();
  }

  discovery(kind: string): Discovery {
    return { watch: (signal) => this.#roster.watch(kind, signal) };
  }

  ageMs(): Millis | undefined {
    return this.#heardAt === undefined ? undefined : this.#deps.clock.monotonic() - this.#heardAt;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    this.#bell.abort();
    await this.#running;
    if (this.#member) await this.#attempt("leave");
    await this.#connection[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    // The connection is tried for ever; each attempt below says whether it stands.
    await this.#connection.open().catch((error: unknown) => this.#failed(error));
    while (!this.#stop.signal.aborted) {
      this.#bell = new AbortController();
      await this.#attempt(this.#member ? "stay" : "look");
      if (this.#stop.signal.aborted) return;
      // Drawn, so that those who came back together do not ask together for ever.
      await this.#deps.clock.after(this.#beatMs * (0.5 + this.#deps.random.float() / 2), this.#bell.signal).catch(() => undefined); // Rung.
    }
  }

  async #attempt(what: "stay" | "leave" | "look"): Promise<void> {
    try {
      const reply = await this.#connection.run("registry-meet", [this.#keys.registry], this.#question(what));
      this.#heardAt = this.#deps.clock.monotonic();
      const [epoch, sinceMs, ...members] = reply as readonly string[];
      this.#complain(what === "stay" ? this.#placed(epoch!) : undefined);
      this.#roster.learn(members, Number(sinceMs));
    } catch (error) {
      this.#failed(error);
    }
  }

  #question(what: "stay" | "leave" | "look"): readonly (string | number)[] {
    const ask = [this.#time(), what, this.#termMs / 2];
    if (what === "look" || !this.#member) return ask;
    const { kind, name, address } = this.#member;
    return [...ask, `${kind} ${name}`, this.#generation, this.#epoch, this.#termMs, this.#draining ? 1 : 0, address, MEMBERS_MAX];
  }

  /** Gives what is wrong with this process's place, if anything is. */
  #placed(epoch: string): string | undefined {
    if (epoch === "") return "another process has taken this one's name in the registry: this one is not found any more";
    if (epoch === "full") return `the registry has ${MEMBERS_MAX} members: this process is not among them`;
    this.#epoch = epoch;
    return undefined;
  }

  #failed(error: unknown): void {
    this.#deps.onFailure?.();
    this.#complain("the registry cannot be asked; what it said last holds", error);
  }

  /** Tells the log, once for as long as it is so; undefined: nothing is wrong any more. */
  #complain(what: string | undefined, error?: unknown): void {
    if (this.#complaint === what) return;
    this.#complaint = what;
    if (what === undefined) return;
    this.#deps.log.warn({ registry: this.#connection.server, member: this.#member, ...(error !== undefined && { err: error }) }, what);
  }
}

/** @throws Fault parameter_invalid */
function checkMember({ kind, name, address }: Member): void {
  for (const [field, text] of Object.entries({ kind, name, address })) {
    checkName(field, text);
    if (/\s/.test(text)) throw new Fault("parameter_invalid", `${field} "${text}" has a space`, { detail: { field } });
  }
  parseAddress(address);
}
