import { type Clock, deadlineSignal, Fault, type Log, MINUTE, type Millis, type Random, SECOND, toFault } from "#kernel";
import type { KubernetesApi, KubernetesObject, Resource, WatchEvent } from "../api/contract.ts";
import type { KubernetesMetrics } from "../metrics.ts";
import { BackOff } from "./back-off.ts";

export interface MirrorDeps {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: KubernetesMetrics;
}

export interface MirrorOptions {
  readonly resource: Resource;
  readonly labelSelector?: string;
  /** In logs and metrics: what is watched. */
  readonly name: string;
  /** Told after each change, with the names of the objects that came, changed or went; first of all after the first list. */
  readonly onChange: (names: ReadonlySet<string>) => void;
  readonly pace?: Partial<MirrorPace>;
}

export interface MirrorPace {
  /** The server ends a watch after this; the next one goes on where it ended. */
  readonly watchMs: Millis;
  /** A watch that has not ended this long after its time is stalled: the connection is dead, and nobody said so. */
  readonly graceMs: Millis;
  /** Whatever the watches say, everything is listed anew once in this time, or up to twice that. */
  readonly relistMs: Millis;
}

/** Stalls are found within 35 s, for one short request per watch and half minute. Relisting is for the bugs of others. */
const PACE: MirrorPace = { watchMs: 30 * SECOND, graceMs: 5 * SECOND, relistMs: 5 * MINUTE };
const RETRY_MS_MIN: Millis = 100;
const RETRY_MS_MAX: Millis = 10 * SECOND;
/** A watch that ends sooner, and said nothing, did not work. */
const WATCH_MS_MIN: Millis = SECOND / 2;

/** The objects of one kind as the API server last told: never waits, never fails, and says how old its news are. */
export interface ResourceMirror extends AsyncDisposable {
  /** By name. Undefined before the first list. */
  readonly objects: ReadonlyMap<string, KubernetesObject> | undefined;
  /** Since the server last said anything; undefined when it never did. */
  ageMs(): Millis | undefined;
}

export function startMirror(deps: MirrorDeps, options: MirrorOptions): ResourceMirror {
  return new Mirror(deps, options);
}

/** List, then watch from the list's version on, for ever: an informer that does not stop. */
class Mirror implements ResourceMirror {
  readonly #deps: MirrorDeps;
  readonly #options: MirrorOptions;
  readonly #pace: MirrorPace;
  readonly #stop = new AbortController();
  readonly #backOff: BackOff;
  readonly #running: Promise<void>;
  readonly #unregister: () => void;
  #objects: Map<string, KubernetesObject> | undefined;
  /** Where the next watch begins; undefined when a list must come first. */
  #version: string | undefined;
  #relistAt: Millis = 0;
  #heardAt: Millis | undefined;

  constructor(deps: MirrorDeps, options: MirrorOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#pace = { ...PACE, ...options.pace };
    this.#backOff = new BackOff(deps.random, RETRY_MS_MIN, RETRY_MS_MAX);
    this.#unregister = deps.metrics.watching(options.name, () => this.ageMs());
    this.#running = this.#run();
  }

  get objects(): ReadonlyMap<string, KubernetesObject> | undefined {
    return this.#objects;
  }

  ageMs(): Millis | undefined {
    return this.#heardAt === undefined ? undefined : this.#deps.clock.monotonic() - this.#heardAt;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#unregister();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (this.#version === undefined || this.#deps.clock.monotonic() >= this.#relistAt) await this.#relist();
        if (await this.#watch()) this.#backOff.reset();
        else await this.#pause();
      } catch (error) {
        if (signal.aborted) return;
        this.#deps.metrics.watchFailed(this.#options.name);
        this.#deps.log.warn(
          { err: toFault(error), watch: this.#options.name, ageMs: this.ageMs() },
          "a watch of the API server failed; it is tried again",
        );
        await this.#pause();
      }
    }
  }

  async #relist(): Promise<void> {
    const { resource, labelSelector, name } = this.#options;
    const selection = labelSelector === undefined ? {} : { labelSelector };
    const { items, resourceVersion } = await this.#deps.api.list(resource, selection, this.#stop.signal);
    const before = this.#objects;
    const now = new Map(items.map((object) => [object.metadata.name, object]));
    const changed = new Set([...now.keys()].filter((key) => versionOf(before?.get(key)) !== versionOf(now.get(key))));
    for (const key of before?.keys() ?? []) if (!now.has(key)) changed.add(key);
    this.#objects = now;
    this.#version = resourceVersion;
    this.#heard();
    this.#relistAt = this.#deps.clock.monotonic() + this.#pace.relistMs * (1 + this.#deps.random.float());
    this.#deps.metrics.relisted(name);
    if (!before || changed.size > 0) this.#options.onChange(changed);
  }

  /** Whether the server had anything to say, or kept us waiting for as long as it should. */
  async #watch(): Promise<boolean> {
    const { clock, api } = this.#deps;
    const { resource, labelSelector, name } = this.#options;
    const begunAt = clock.monotonic();
    using limit = deadlineSignal(
      clock,
      this.#pace.watchMs + this.#pace.graceMs,
      () => new Fault("store_unreachable", `the watch of ${name} is stalled: the API server neither speaks nor ends it`),
      this.#stop.signal,
    );
    const options = {
      resourceVersion: this.#version!,
      lifeMs: this.#pace.watchMs,
      ...(labelSelector === undefined ? {} : { labelSelector }),
    };
    let spoke = false;
    for await (const event of api.watch(resource, options, limit.signal)) {
      this.#heard();
      if (event.kind === "expired") this.#version = undefined;
      else if (event.kind !== "open") this.#apply(event);
      spoke ||= event.kind !== "open" && event.kind !== "expired";
    }
    return spoke || clock.monotonic() - begunAt >= WATCH_MS_MIN;
  }

  #apply(event: Exclude<WatchEvent, { readonly kind: "open" | "expired" }>): void {
    if (event.kind === "bookmark") {
      this.#version = event.resourceVersion;
      return;
    }
    const { name } = event.object.metadata;
    this.#version = versionOf(event.object);
    const before = this.#objects!.get(name);
    if (event.kind === "gone") this.#objects!.delete(name);
    else this.#objects!.set(name, event.object);
    // After a watch that broke off, the server may repeat what it had said.
    if (event.kind === "gone" ? before !== undefined : versionOf(before) !== this.#version) this.#options.onChange(new Set([name]));
  }

  #heard(): void {
    this.#heardAt = this.#deps.clock.monotonic();
  }

  async #pause(): Promise<void> {
    await this.#deps.clock.after(this.#backOff.next(), this.#stop.signal).catch(() => undefined); // Stopping: the loop sees it.
  }
}

function versionOf(object: KubernetesObject | undefined): string | undefined {
  return object?.metadata.resourceVersion;
}
