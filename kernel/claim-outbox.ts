import { once } from "node:events";
import { type AppendLog, openAppendLog } from "./append-log.ts";
import { assert } from "./assert.ts";
import { type Claim, foldClaims } from "./claim.ts";
import { type Clock, deadlineSignal } from "./clock.ts";
import { Fault, isFault } from "./fault.ts";
import type { Log } from "./log.ts";
import { type Bytes, MIB, type Millis, SECOND } from "./units.ts";

/**
 * Between whoever counts tokens and the ledger: claims are durable here before the final message leaves, and are
 * delivered at least once, whatever crashes or is away meanwhile. The ledger merges, so twice does no harm.
 */
export interface ClaimOutbox extends AsyncDisposable {
  /**
   * Durable when it resolves.
   * @throws Fault capacity_exhausted when the outbox is full, store_unreachable when the disk refuses: what it says must
   * then not be served, for it could not be billed.
   */
  write(claim: Claim): Promise<void>;
  /** Claims that are durable here and not yet delivered. */
  readonly pending: number;
  /** Resolves when everything written so far is delivered, or has been refused and stays here. @throws Fault shutting_down */
  flush(): Promise<void>;
}

export interface ClaimOutboxOptions {
  /** The append log's path; see {@link openAppendLog}. */
  readonly file: string;
  /** Hands claims to the ledger; resolves when they are durable there. A Fault with retry `never` means that one of them is refused. */
  readonly deliver: (claims: readonly Claim[], signal: AbortSignal) => Promise<void>;
  /** Claims in one delivery; the wire takes 1,000. */
  readonly batchMax?: number;
  /** On disk. The default holds about 200,000 claims: ten minutes of 300 requests/s without a ledger. */
  readonly sizeBytesMax?: Bytes;
  /** How long a claim waits for others, so that the ledger syncs once for all of them; what they say of one attempt is told once. */
  readonly lingerMs?: Millis;
  /** Between failed deliveries: doubles from the first to the second. */
  readonly retryMsMin?: Millis;
  readonly retryMsMax?: Millis;
  /** A delivery that takes longer is aborted and tried again. */
  readonly deliverMsMax?: Millis;
}

const DEFAULTS = {
  batchMax: 1000,
  sizeBytesMax: 64 * MIB,
  lingerMs: 250,
  retryMsMin: 100,
  retryMsMax: 10 * SECOND,
  deliverMsMax: 30 * SECOND,
};

/** Nobody sees it; without a reason every pause would end in an exception with a stack. */
const WOKEN = "woken";

interface PendingClaim {
  readonly claim: Claim;
  readonly segment: number;
  /** Counts up over the life of the outbox; what {@link ClaimOutbox.flush} waits for. */
  readonly number: number;
}

/** Opens the outbox and begins to deliver what earlier lives left. */
export async function startClaimOutbox(
  deps: { readonly clock: Clock; readonly log?: Log },
  options: ClaimOutboxOptions,
): Promise<ClaimOutbox> {
  const settings = { ...DEFAULTS, ...options };
  assert(settings.batchMax > 0, "a delivery holds at least one claim");
  const log = await openAppendLog({ file: settings.file, sizeBytesMax: settings.sizeBytesMax });
  for (const damage of log.damaged)
    deps.log?.warn({ ...damage }, "a line of the claim outbox is torn or damaged; it was never acknowledged, or the disk lost it");
  if (log.recovered.length > 0) deps.log?.info({ claims: log.recovered.length }, "the claim outbox delivers what an earlier life left");
  return new DurableOutbox(deps, settings, log);
}

type Delivery = "delivered" | "refused" | "failed";

class DurableOutbox implements ClaimOutbox {
  readonly #clock: Clock;
  readonly #log: Log | undefined;
  readonly #settings: typeof DEFAULTS & ClaimOutboxOptions;
  readonly #file: AppendLog;
  /** In order of their numbers. */
  #queue: PendingClaim[];
  #written: number;
  /** What the ledger refuses even alone: kept on disk for an operator, tried again by the next life. */
  readonly #refused: PendingClaim[] = [];
  /** Halves when a delivery is refused, so that one bad claim is found and can't hold up the others. */
  #batchMax: number;
  #flushes: { readonly upTo: number; readonly resolve: () => void; readonly reject: (fault: Fault) => void }[] = [];
  /** Ends the pause in progress. */
  #wake = new AbortController();
  /** Takes claims. */
  #open = true;
  readonly #writing = new Set<Promise<void>>();
  /** Whether the last claim could not be written. */
  #refusing = false;
  /** No claim comes any more; the delivery loop ends. */
  #closing = false;
  #closed: Promise<void> | undefined;
  readonly #delivering: Promise<void>;

  constructor(deps: { readonly clock: Clock; readonly log?: Log }, settings: typeof DEFAULTS & ClaimOutboxOptions, file: AppendLog) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#settings = settings;
    this.#file = file;
    this.#queue = file.recovered.map(({ record, segment }, number) => ({ claim: JSON.parse(record) as Claim, segment, number }));
    this.#written = this.#queue.length;
    this.#batchMax = settings.batchMax;
    this.#delivering = this.#deliverAll();
  }

  get pending(): number {
    return this.#queue.length + this.#refused.length;
  }

  async write(claim: Claim): Promise<void> {
    if (!this.#open) throw closed();
    const writing = this.#append(claim);
    this.#writing.add(writing);
    try {
      await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  flush(): Promise<void> {
    if (!this.#open) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#flushes.push({ upTo: this.#written, resolve, reject });
      this.#settleFlushes();
      this.#wake.abort(WOKEN);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Delivers until nothing is left or the first failure; the rest stays on disk for the next life. */
  async #close(): Promise<void> {
    this.#open = false;
    await Promise.allSettled(this.#writing); // Each tells its own caller.
    this.#closing = true;
    this.#wake.abort(WOKEN);
    await this.#delivering;
    await this.#file[Symbol.asyncDispose]();
    await this.#dropDelivered();
    for (const flush of this.#flushes) flush.reject(closed());
  }

  async #append(claim: Claim): Promise<void> {
    const segment = await this.#file.append(JSON.stringify(claim)).catch((error: unknown) => {
      // Once: on a full disk every request ends here.
      if (!this.#refusing)
        this.#log?.error({ err: error, file: this.#settings.file }, "claims can't be written: no request is served to its end");
      this.#refusing = true;
      throw error;
    });
    if (this.#refusing) this.#log?.info({ file: this.#settings.file }, "claims can be written again");
    this.#refusing = false;
    this.#queue.push({ claim, segment, number: this.#written++ });
    if (this.#queue.length === 1) this.#wake.abort(WOKEN);
  }

  async #deliverAll(): Promise<void> {
    let retryMs = this.#settings.retryMsMin;
    for (;;) {
      if (this.#queue.length === 0) {
        if (this.#closing) return;
        await this.#pause();
        continue;
      }
      const linger = this.#queue.length < this.#settings.batchMax && this.#flushes.length === 0 && !this.#closing;
      if (linger) await this.#pause(this.#settings.lingerMs);
      if ((await this.#deliverBatch()) !== "failed") {
        retryMs = this.#settings.retryMsMin;
      } else {
        if (this.#closing) return;
        await this.#pause(retryMs);
        retryMs = Math.min(retryMs * 2, this.#settings.retryMsMax);
      }
    }
  }

  async #deliverBatch(): Promise<Delivery> {
    const batch = this.#queue.slice(0, this.#batchMax);
    const delivery = await this.#deliver(batch);
    if (delivery === "delivered") {
      this.#queue.splice(0, batch.length);
      this.#batchMax = Math.min(this.#batchMax * 2, this.#settings.batchMax);
    } else if (delivery === "refused") {
      if (batch.length === 1) this.#refused.push(...this.#queue.splice(0, 1));
      this.#batchMax = Math.max(1, Math.floor(batch.length / 2));
    }
    await this.#dropDelivered();
    this.#settleFlushes();
    return delivery;
  }

  async #deliver(batch: readonly PendingClaim[]): Promise<Delivery> {
    const { deliver, deliverMsMax } = this.#settings;
    using deadline = deadlineSignal(this.#clock, deliverMsMax, () => new Fault("deadline_passed", `no delivery within ${deliverMsMax} ms`));
    try {
      await deliver(foldClaims(batch.map((pending) => pending.claim)), deadline.signal);
      return "delivered";
    } catch (error) {
      const refused = isFault(error) && error.retry.kind === "never" && error.code !== "deadline_exceeded";
      if (refused && batch.length === 1)
        this.#log?.error({ err: error, claim: batch[0]?.claim }, "the ledger refuses a claim; it stays in the outbox");
      else
        this.#log?.warn({ err: error, claims: batch.length, pending: this.pending }, "claims could not be delivered; they will be again");
      return refused ? "refused" : "failed";
    }
  }

  /** Drops the segments that hold nothing undelivered. */
  async #dropDelivered(): Promise<void> {
    const held = [this.#queue[0], this.#refused[0]].map((pending) => pending?.segment ?? Number.POSITIVE_INFINITY);
    try {
      await this.#file.dropBefore(Math.min(...held));
    } catch (error) {
      this.#log?.warn({ err: error }, "a delivered segment of the claim outbox could not be deleted; it will be tried again");
    }
  }

  #settleFlushes(): void {
    const next = this.#queue[0]?.number ?? this.#written;
    for (const flush of this.#flushes) if (flush.upTo <= next) flush.resolve();
    this.#flushes = this.#flushes.filter((flush) => flush.upTo > next);
  }

  /** Until woken, at most `waitMs`. */
  async #pause(waitMs?: Millis): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    if (waitMs === undefined) await once(wake.signal, "abort");
    else
      await this.#clock.after(waitMs, wake.signal).catch((error: unknown) => {
        if (!wake.signal.aborted) throw error;
      });
  }
}

function closed(): Fault {
  return new Fault("shutting_down", "the claim outbox is closed");
}
