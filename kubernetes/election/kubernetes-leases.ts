import { type Clock, DAY, deadlineSignal, Fault, type Millis, SECOND } from "#kernel";
import { checkDuration, checkNames, type Lease, type Leases } from "#state";
import type { KubernetesApi, KubernetesObject } from "../api/contract.ts";
import { LEASES, type LeaseRecord, leaseObjectName, readLease, writeLease } from "./lease-object.ts";

export interface KubernetesLeasesDeps {
  readonly api: KubernetesApi;
  readonly clock: Clock;
}

export interface KubernetesLeasesOptions {
  /** Of the objects' names. Default: `deltaplane-`. */
  readonly prefix?: string;
}

/** Whoever finds somebody else ahead looks again; among this many rivals one of them holds it by now. */
const ATTEMPTS_MAX = 5;
/**
 * A lease that nobody was seen to hold, and that its holder last renewed this long ago by its own clock, is over: no two
 * clocks of one cluster differ by a day (certificates and tokens would fail first).
 */
const ABANDONED_MS: Millis = DAY;

/** Of its term, what a holder gives one call: then it asks again while it still leads. */
const CALL_SHARE = 1 / 3;
/** For giving it back, at the end of a process. */
const RELEASE_MS_MAX: Millis = 2 * SECOND;

/** What this process saw of a lease, and since when nothing has changed. */
interface Sight {
  readonly object: KubernetesObject;
  readonly record: LeaseRecord;
  /** By our own monotonic clock, when the answer that first said so had arrived. */
  readonly since: Millis;
}

/**
 * Leases on Kubernetes' Lease objects. A write names the version that it replaces, so that one of two rivals gets a
 * conflict. There is no common time: whether a lease has run out is judged by how long it was *seen* not to change, on
 * one's own monotonic clock. The holder counts from before it asked, everybody else from after they were told, so that
 * a holder that steps down a term after its last successful call is gone before anybody else comes.
 */
export function createKubernetesLeases(deps: KubernetesLeasesDeps, options: KubernetesLeasesOptions = {}): Leases {
  return new KubernetesLeases(deps, options.prefix ?? "deltaplane-");
}

class KubernetesLeases implements Leases {
  readonly #api: KubernetesApi;
  readonly #clock: Clock;
  readonly #prefix: string;
  /** By object name. Few: a lease's name is a word in the program. */
  readonly #sights = new Map<string, Sight>();

  constructor({ api, clock }: KubernetesLeasesDeps, prefix: string) {
    this.#api = api;
    this.#clock = clock;
    this.#prefix = prefix;
  }

  async acquire(name: string, holder: string, termMs: Millis): Promise<Lease> {
    checkNames({ name, holder });
    checkDuration("termMs", termMs);
    using limit = this.#limit(termMs * CALL_SHARE);
    const objectName = leaseObjectName(this.#prefix, name);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const known = this.#sights.get(objectName);
      // Its holder knows what it wrote, and is told if that is no longer so: it need not look first.
      const sight = attempt === 0 && known?.record.holder === holder ? known : await this.#look(objectName, limit.signal);
      if (sight && this.#isLive(sight) && sight.record.holder !== holder) {
        const leftMs = sight.record.termMs - (this.#clock.monotonic() - sight.since);
        return { kind: "taken", holder: sight.record.holder!, leftMs };
      }
      const epoch = sight ? sight.record.epoch + (this.#isLive(sight) && !this.#isLate(sight.record) ? 0 : 1) : 1;
      const record = { holder, epoch, termMs, renewedAt: this.#stamp(sight) };
      if (await this.#write(objectName, name, sight, record, limit.signal)) return { kind: "held", epoch };
    }
    throw contended(name);
  }

  async release(name: string, holder: string): Promise<void> {
    checkNames({ name, holder });
    using limit = this.#limit(RELEASE_MS_MAX);
    const objectName = leaseObjectName(this.#prefix, name);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const sight = await this.#look(objectName, limit.signal);
      if (sight?.record.holder !== holder) return;
      const record = { ...sight.record, holder: undefined, renewedAt: this.#stamp(sight) };
      if (await this.#write(objectName, name, sight, record, limit.signal)) return;
    }
    throw contended(name);
  }

  #limit(waitMs: Millis) {
    return deadlineSignal(this.#clock, waitMs, () => new Fault("store_unreachable", "the API server does not answer in time for a lease"));
  }

  /** The lease as it is now; undefined when there never was one. */
  async #look(objectName: string, signal: AbortSignal): Promise<Sight | undefined> {
    const object = await this.#api.get(LEASES, objectName, signal);
    if (object) return this.#see(objectName, object);
    this.#sights.delete(objectName);
    return undefined;
  }

  /** Whether it was written: not when somebody else was first. */
  async #write(objectName: string, name: string, sight: Sight | undefined, record: LeaseRecord, signal: AbortSignal): Promise<boolean> {
    const object = writeLease(sight?.object, objectName, name, record);
    const written = sight ? await this.#api.replace(LEASES, "object", object, signal) : await this.#api.create(LEASES, object, signal);
    if (written.kind === "written") this.#see(objectName, written.object);
    return written.kind === "written";
  }

  /** Never the same twice, so that every renewal is seen as one, also while a clock is set back. */
  #stamp(sight: Sight | undefined): Millis {
    const now = this.#clock.now();
    if (!sight || now > sight.record.renewedAt) return now;
    return sight.record.renewedAt - now < ABANDONED_MS ? sight.record.renewedAt + 1 : now;
  }

  /** A change of anything but the record, like a label, is no sign of life. */
  #see(objectName: string, object: KubernetesObject): Sight {
    const record = readLease(object);
    const before = this.#sights.get(objectName);
    const since = before && sameRecord(before.record, record) ? before.since : this.#clock.monotonic();
    const sight = { object, record, since };
    this.#sights.set(objectName, sight);
    return sight;
  }

  #isLive({ record, since }: Sight): boolean {
    if (record.holder === undefined || this.#clock.monotonic() - since >= record.termMs) return false;
    return this.#clock.now() - record.renewedAt < record.termMs + ABANDONED_MS;
  }

  /** By the wall clock. Only for one's own lease: a new epoch too many does no harm. */
  #isLate({ renewedAt, termMs }: LeaseRecord): boolean {
    return this.#clock.now() - renewedAt >= termMs;
  }
}

function sameRecord(one: LeaseRecord, other: LeaseRecord): boolean {
  return one.holder === other.holder && one.epoch === other.epoch && one.renewedAt === other.renewedAt && one.termMs === other.termMs;
}

function contended(name: string): Fault {
  return new Fault("store_unreachable", `the lease ${name} was written by others ${ATTEMPTS_MAX} times in a row`);
}
