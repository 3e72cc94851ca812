import { once } from "node:events";
import { type Clock, every, type Log, type Millis, SECOND, toFault } from "#kernel";
import type { Leases } from "#state";

/** Which of the schedulers acts. The others watch, and know as much. */
export interface Leadership extends AsyncDisposable {
  /** Under which this process leads now; undefined while it does not. Grows with every change of leader. */
  readonly epoch: number | undefined;
  /** Who leads, as far as is known here. */
  readonly leader: string | undefined;
}

export interface LeadershipDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly leases: Leases;
}

export interface LeadershipOptions {
  /** Another one in every life of every process. */
  readonly holder: string;
  /** Does not try before this aborts: who does not know the cluster yet leaves it to those that do. Default: at once. */
  readonly from?: AbortSignal;
  /** Told after every change. */
  readonly onChange: () => void;
}

const LEASE = "scheduler";
/** A leader that is gone is missed for at most so long, and a try: within the promised 5 s. */
const TERM_MS: Millis = 3 * SECOND;
/** Renewals may fail five times in a row before the lease is lost; others find it free within half a second. */
const TRY_EVERY_MS: Millis = SECOND / 2;
/** A leader stops acting this long before its lease ends by its own clock: what it has sent by then still arrives in its term. */
const MARGIN_MS: Millis = SECOND / 2;

/** Holds the lease, or tries to, until it is disposed; then gives it back, so that the next one need not wait for its end. */
export function startLeadership({ clock, log, leases }: LeadershipDeps, { holder, from, onChange }: LeadershipOptions): Leadership {
  const stop = new AbortController();
  let held: { readonly epoch: number; readonly until: Millis } | undefined;
  let leader: string | undefined;

  const epoch = () => (held && clock.monotonic() < held.until ? held.epoch : undefined);
  const attempt = async () => {
    const before = { epoch: epoch(), leader };
    const askedAt = clock.monotonic(); // The term may have begun as soon as this.
    try {
      const lease = await leases.acquire(LEASE, holder, TERM_MS);
      held = lease.kind === "held" ? { epoch: lease.epoch, until: askedAt + TERM_MS - MARGIN_MS } : undefined;
      leader = lease.kind === "held" ? holder : lease.holder;
    } catch (error) {
      log.warn({ err: toFault(error) }, "the lease of the schedulers could not be asked for");
      if (epoch() === undefined) leader = undefined;
    }
    if (before.epoch === epoch() && before.leader === leader) return;
    log.info({ leader, epoch: epoch() }, epoch() === undefined ? "another scheduler leads" : "this scheduler leads");
    onChange();
  };
  const trying = (async () => {
    const begins = from && AbortSignal.any([from, stop.signal]);
    if (begins && !begins.aborted) await once(begins, "abort");
    if (!stop.signal.aborted) await attempt();
    await every(clock, TRY_EVERY_MS, stop.signal, attempt);
  })();

  return {
    get epoch() {
      return epoch();
    },
    get leader() {
      return leader;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await trying;
      if (held)
        await leases.release(LEASE, holder).catch((error: unknown) => log.warn({ err: toFault(error) }, "the lease was not given back"));
      held = undefined;
    },
  };
}

/** For a scheduler that is alone and has no store: it leads always. */
export const SOLO_LEASES: Leases = {
  acquire: async () => ({ kind: "held", epoch: 1 }),
  release: async () => undefined,
};
