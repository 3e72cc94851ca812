import { type Clock, isFault, type Log, MINUTE, type Millis, SECOND, type TenantId, type Usage } from "#kernel";
import type { Meters, TakeAsk } from "#state";
import type { Admitted } from "../contract.ts";
import { amountOf } from "../prices/index.ts";
import { LocalLimits } from "./local-limits.ts";
import { type LimitedRequest, meterReport, shortage, takeAsk, usedBy } from "./tenant-limits.ts";

/** A request's part of its tenant's limits. Settle it once, when the request has ended. */
export interface Taken {
  readonly meters: Admitted["meters"];
  /** The store does not answer: this router has decided by itself. */
  readonly withoutStore: boolean;
  /**
   * Gives back what was not used: all of it when the request was sent away (`used` undefined). A hold stays when a claim
   * was written, until the ledger has posted it. Resolves when the tenant may count on it; never rejects.
   */
  settle(used: Usage | undefined, hold: "ends" | "stays"): Promise<void>;
}

export interface LimitsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly meters: Meters;
}

/** Beyond the longest request: its claims are on their way to the ledger. */
const SETTLE_SPARE_MS: Millis = MINUTE;
/** After the store failed, it is left alone for so long: nobody waits for what will not answer, and one finds out that it does again. */
const STORE_PAUSE_MS: Millis = SECOND;
/** Settles that wait for the store. What is dropped beyond ends by itself after its life. */
const OWED_MAX = 10_000;

/** Of a request without limits. */
export const NOTHING_TAKEN: Taken = { meters: [], withoutStore: false, settle: async () => undefined };

interface Owed {
  readonly account: string;
  readonly id: string;
  readonly used: Readonly<Record<string, number>>;
  readonly hold: "ends" | "stays";
}

/**
 * Tenants' limits: one round trip to the store per request, none for a tenant without any. When the store does not
 * answer, what can be decided here is; the store is told of it once it is back, whether or not anybody asks for more.
 */
export class Limits {
  readonly #deps: LimitsDeps;
  readonly #lifeMs: Millis;
  readonly #local: LocalLimits;
  readonly #live = new Map<TenantId, number>();
  /** By request: what the store has not been told yet. */
  readonly #owed = new Map<string, Owed>();
  readonly #settling = new Set<Promise<void>>();
  /** By the monotonic clock: until then the store is left alone; undefined when it answers. */
  #awayUntil: Millis | undefined;
  #repaying = false;
  readonly #closed = new AbortController();

  constructor(deps: LimitsDeps, requestMsMax: Millis) {
    this.#deps = deps;
    this.#lifeMs = requestMsMax + SETTLE_SPARE_MS;
    this.#local = new LocalLimits(deps.clock);
  }

  /**
   * At once for a tenant without limits. `onShort` is told of the meters before a refusal.
   * @throws Fault rate_exceeded, budget_spent, store_unreachable
   */
  take(request: LimitedRequest, onShort?: (meters: Admitted["meters"]) => void): Taken | Promise<Taken> {
    const ask = takeAsk(request, this.#lifeMs);
    return ask ? this.#take(request, ask, onShort) : NOTHING_TAKEN;
  }

  /** Resolves when nothing is being told to the store. */
  async settled(): Promise<void> {
    while (this.#settling.size > 0) await Promise.all(this.#settling);
  }

  /** The store is told of what has ended, and of nothing any more while it does not answer: that ends by itself after its life. */
  async close(): Promise<void> {
    this.#closed.abort("closed");
    await this.settled();
  }

  async #take(request: LimitedRequest, ask: TakeAsk, onShort?: (meters: Admitted["meters"]) => void): Promise<Taken> {
    if (!this.#mayAsk()) return this.#takeLocally(request, ask, false);
    try {
      const taken = await this.#deps.meters.take(ask);
      this.#answered();
      if (taken.kind === "short") {
        onShort?.(meterReport(ask, taken.meters));
        throw shortage(ask, taken.what, taken.waitMs);
      }
      this.#local.learn(ask, taken.meters, taken.budgetLeft);
      this.#began(request);
      return {
        meters: meterReport(ask, taken.meters),
        withoutStore: false,
        settle: (used, hold) => {
          this.#ended(request);
          return this.#settle({ account: ask.account, id: ask.id, used: usedBy(used), hold });
        },
      };
    } catch (error) {
      if (!isFault(error, "store_unreachable")) throw error;
      this.#unanswered(error);
      return this.#takeLocally(request, ask, true);
    }
  }

  /** `asked`: the store may have taken it, although it did not answer. */
  #takeLocally(request: LimitedRequest, ask: TakeAsk, asked: boolean): Taken {
    const owed = { account: ask.account, id: ask.id };
    try {
      const meters = this.#local.take(ask, this.#live.get(request.tenant.id) ?? 0);
      this.#began(request);
      return {
        meters: meterReport(ask, meters),
        withoutStore: true,
        settle: async (used, hold) => {
          this.#ended(request);
          this.#local.settle(ask, usedBy(used), used && hold === "stays" ? amountOf(request.rates, used) : 0n);
          if (asked) this.#owe({ ...owed, used: usedBy(used), hold });
        },
      };
    } catch (error) {
      if (asked) this.#owe({ ...owed, used: {}, hold: "ends" });
      throw error;
    }
  }

  #settle(owed: Owed): Promise<void> {
    if (this.#awayUntil !== undefined) {
      this.#owe(owed);
      return Promise.resolve();
    }
    return this.#track(this.#tell(owed));
  }

  #track(work: Promise<void>): Promise<void> {
    const settling = work.finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
    return settling;
  }

  /** One after the other: there may be thousands, and requests are waiting. */
  async #tellAll(owed: readonly Owed[]): Promise<void> {
    for (const each of owed) {
      if (this.#awayUntil === undefined) await this.#tell(each);
      else this.#owe(each);
    }
  }

  async #tell(owed: Owed): Promise<void> {
    try {
      await this.#deps.meters.settle(owed.account, owed.id, owed.used, owed.hold);
      this.#answered();
    } catch (error) {
      if (!isFault(error, "store_unreachable")) {
        this.#deps.log.error({ err: error, requestId: owed.id }, "a request's limits could not be settled; they end by themselves");
        return;
      }
      this.#owe(owed);
      this.#unanswered(error);
    }
  }

  #owe(owed: Owed): void {
    if (this.#owed.size < OWED_MAX) this.#owed.set(owed.id, owed);
    void this.#repay();
  }

  /** Finds out by itself that the store is back: a tenant that has stopped asking must not be left with requests that run. */
  async #repay(): Promise<void> {
    if (this.#repaying) return;
    this.#repaying = true;
    const { clock } = this.#deps;
    while (this.#owed.size > 0 && !this.#closed.signal.aborted) {
      await clock.after(STORE_PAUSE_MS, this.#closed.signal).catch(() => undefined); // Closed: the loop sees it.
      const [first] = this.#owed.values();
      if (!first || this.#closed.signal.aborted || !this.#mayAsk()) continue;
      this.#owed.delete(first.id);
      await this.#track(this.#tell(first));
    }
    this.#repaying = false;
  }

  #mayAsk(): boolean {
    if (this.#awayUntil === undefined) return true;
    const now = this.#deps.clock.monotonic();
    if (now < this.#awayUntil) return false;
    this.#awayUntil = now + STORE_PAUSE_MS; // Whoever asked finds out for all.
    return true;
  }

  #unanswered(error: unknown): void {
    if (this.#awayUntil === undefined) this.#deps.log.warn({ err: error }, "the store does not answer; limits are this router's own");
    this.#awayUntil = this.#deps.clock.monotonic() + STORE_PAUSE_MS;
  }

  #answered(): void {
    if (this.#awayUntil === undefined) return;
    this.#awayUntil = undefined;
    this.#deps.log.info({ settles: this.#owed.size }, "the store answers again");
    const owed = [...this.#owed.values()];
    this.#owed.clear();
    if (owed.length > 0) void this.#track(this.#tellAll(owed));
  }

  #began({ tenant }: LimitedRequest): void {
    this.#live.set(tenant.id, (this.#live.get(tenant.id) ?? 0) + 1);
  }

  #ended({ tenant }: LimitedRequest): void {
    const left = (this.#live.get(tenant.id) ?? 0) - 1;
    if (left > 0) this.#live.set(tenant.id, left);
    else this.#live.delete(tenant.id);
  }
}
