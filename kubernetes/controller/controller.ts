import { type Clock, Fault, isFault, type Log, MINUTE, type Millis, type Random, SECOND } from "#kernel";
import type { KubernetesApi, KubernetesObject } from "../api/contract.ts";
import type { KubernetesMetrics } from "../metrics.ts";
import { BackOff } from "../mirror/back-off.ts";
import { type MirrorPace, type ResourceMirror, startMirror } from "../mirror/resource-mirror.ts";
import { createBaseModelReconciler } from "./base-model-reconciler.ts";
import type { Doors, OpenDeltaSource, Reconciler } from "./contract.ts";
import { createDeltaReconciler } from "./delta-reconciler.ts";
import { type Kept, ObjectKeeper } from "./object-keeper.ts";
import { createTenantReconciler } from "./tenant-reconciler.ts";
import { WorkQueue } from "./work-queue.ts";

export interface ControllerDeps {
  readonly api: KubernetesApi;
  readonly doors: Doors;
  readonly openSource: OpenDeltaSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: KubernetesMetrics;
  /** Whether we still lead, asked before everything that is written or said: two controllers must not take turns. */
  readonly leading: () => boolean;
}

export interface ControllerOptions {
  readonly pace?: Partial<MirrorPace>;
  /** How often every object is looked at although nothing was heard of it. Default 10 min: the catalogue has other writers. */
  readonly resyncMs?: Millis;
  /** Default 1 s, and a minute: what an object waits for is mostly another object, or a node. */
  readonly retryMsMin?: Millis;
  readonly retryMsMax?: Millis;
}

/** One may be loading a base on every node, for minutes. */
const WORKERS = 4;
const RESYNC_MS: Millis = 10 * MINUTE;

// biome-ignore lint/suspicious/noExplicitAny: each kind has its own spec and status, and only its reconciler reads them.
type AnyReconciler = Reconciler<any, any>;

interface Kind {
  // biome-ignore lint/suspicious/noExplicitAny: as for its reconciler.
  readonly keeper: ObjectKeeper<any, any>;
  readonly mirror: ResourceMirror;
}

/**
 * Makes BaseModels, Deltas and Tenants true in the catalogue, through the routers' public doors. Start it when you lead
 * and dispose it when you do not: dispose waits until nothing is under way.
 */
export function startController(deps: ControllerDeps, options: ControllerOptions = {}): AsyncDisposable {
  const { api, clock, metrics } = deps;
  const assertLeading = () => {
    if (!deps.leading()) throw new Fault("lease_lost", "somebody else leads by now");
  };
  const stop = new AbortController();
  const queue = new WorkQueue(clock);
  const retries = new Map<string, BackOff>();
  const kinds = new Map<string, Kind>();
  for (const reconciler of reconcilersOf(deps)) {
    const { kind, plural } = reconciler.resource;
    const seen = new Map<string, string>();
    const onChange = (names: ReadonlySet<string>) => {
      for (const name of names) if (isNews(seen, name, mirror.objects?.get(name))) queue.add(`${kind}/${name}`);
    };
    const mirror: ResourceMirror = startMirror(deps, {
      resource: reconciler.resource,
      name: plural,
      onChange,
      ...(options.pace && { pace: options.pace }),
    });
    kinds.set(kind, { keeper: new ObjectKeeper({ api, clock, assertLeading }, reconciler), mirror });
  }

  const retryMs = (key: string): Millis => {
    const backOff = retries.get(key) ?? new BackOff(deps.random, options.retryMsMin ?? SECOND, options.retryMsMax ?? MINUTE);
    retries.set(key, backOff);
    return backOff.next();
  };
  const keep = async (key: string): Promise<void> => {
    const [kind, name] = split(key);
    const kept = await keepOne(kinds.get(kind)!, name, stop.signal);
    if (kept.kind === "absent" || kept.kind === "drained") retries.delete(key);
    if (kept.kind !== "absent") metrics.reconciled(kind, kept.kind);
    if (kept.kind === "failed") deps.log.warn({ kind, name, reason: kept.fault.reason, err: kept.fault.cause }, kept.fault.message);
    if (kept.kind === "ready") {
      retries.delete(key);
      queue.add(key, (options.resyncMs ?? RESYNC_MS) * (0.5 + deps.random.float() / 2));
    }
    if (kept.kind === "failed" || kept.kind === "waiting")
      queue.add(key, (kept.kind === "waiting" ? kept.waitMs : undefined) ?? retryMs(key));
  };
  const work = async (): Promise<void> => {
    for (;;) {
      const key = await queue.take(stop.signal);
      try {
        await keep(key);
      } finally {
        queue.done(key);
      }
    }
  };
  const ended = (error: unknown) => {
    if (!stop.signal.aborted) throw error;
  };
  const working = Promise.all(Array.from({ length: WORKERS }, () => work().catch(ended)));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort(new Fault("shutting_down", "the controller stops"));
      await working;
      await Promise.all([...kinds.values()].map(({ mirror }) => mirror[Symbol.asyncDispose]()));
    },
  };
}

function reconcilersOf({ doors, openSource }: ControllerDeps): readonly AnyReconciler[] {
  return [createBaseModelReconciler(doors), createTenantReconciler(doors), createDeltaReconciler(doors, openSource)];
}

/** Whatever goes wrong is an outcome here, but for our own stop: one object must not keep the others from being looked at. */
async function keepOne({ keeper, mirror }: Kind, name: string, signal: AbortSignal): Promise<Kept> {
  try {
    return await keeper.keep(mirror.objects ?? new Map(), name, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (isFault(error, "version_conflict")) return { kind: "waiting" }; // The change that was first will be heard of.
    const fault = isFault(error) ? error : new Fault("bug", "an object could not be reconciled", { cause: error });
    return { kind: "failed", fault };
  }
}

/** A status that changes, which mostly was our own doing, asks for nothing. */
function isNews(seen: Map<string, string>, name: string, object: KubernetesObject | undefined): boolean {
  if (!object) return seen.delete(name);
  const { uid, generation, deletionTimestamp, finalizers } = object.metadata;
  const wish = JSON.stringify([uid, generation, deletionTimestamp, finalizers]);
  const news = seen.get(name) !== wish;
  seen.set(name, wish);
  return news;
}

function split(key: string): readonly [string, string] {
  const at = key.indexOf("/");
  return [key.slice(0, at), key.slice(at + 1)];
}
