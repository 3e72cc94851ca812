import { type Clock, DAY, every, type Log, MINUTE, type Millis, type Random, type Snapshot } from "#kernel";
import type { Journal, Leases } from "#state";
import { BookWriter } from "./book-writer.ts";
import { nodeHoursText } from "./line.ts";
import type { OpenBook } from "./open-book.ts";
import { dayOf } from "./usage-counters.ts";

/** The book of the cluster itself. No tenant can have this name. */
export const CLUSTER_BOOK = "_cluster";

export interface NodeHoursDeps {
  readonly journal: Journal;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly snapshot: () => Snapshot;
}

export interface NodeHoursOptions {
  /** Who this is, among those that share the store: a router's own name, another one in every life. */
  readonly holder: string;
  /** Between two looks at the cluster. */
  readonly sampleMs?: Millis;
  /** Samples that one line holds together: what a crash loses at most. */
  readonly batchSamples?: number;
}

const LEASE = "node-hours";
const SAMPLE_MS: Millis = MINUTE;
const BATCH_SAMPLES = 5;
/** Of a lease, in samples: one may fail without another router taking over. */
const TERM_SAMPLES = 2.5;
const GROUP_PREFIX = "nodes/";

/** How long nodes stood ready with a base on one day, added up over the nodes. */
export interface NodeHours {
  /** Where the day begins, UTC. */
  readonly start: Millis;
  readonly base: string;
  readonly nodeMs: Millis;
}

/**
 * Counts how long nodes stand ready with which base, so that revenue can be set beside it. Of all routers, the holder of
 * a lease counts. Dispose writes what has been counted.
 */
export function startNodeHours(deps: NodeHoursDeps, options: NodeHoursOptions): AsyncDisposable {
  const sampler = new NodeSampler(deps, options);
  const stop = new AbortController();
  const sampled = (async () => {
    await sampler.sample(); // The time counts from here.
    await every(deps.clock, options.sampleMs ?? SAMPLE_MS, stop.signal, () => sampler.sample());
  })();
  let closed: Promise<void> | undefined;
  const close = async () => {
    stop.abort();
    await sampled;
    await sampler.close();
  };
  return {
    [Symbol.asyncDispose]() {
      closed ??= close();
      return closed;
    },
  };
}

/** Of the UTC days that touch the time from `since` (included) to `until` (excluded). */
export async function readNodeHours(journal: Journal, since: Millis, until: Millis): Promise<readonly NodeHours[]> {
  const days = (await journal.groups(CLUSTER_BOOK)).flatMap((group) => {
    const start = group.startsWith(GROUP_PREFIX) ? Date.parse(`${group.slice(GROUP_PREFIX.length)}T00:00:00Z`) : Number.NaN;
    return start + DAY > since && start < until ? [{ group, start }] : [];
  });
  const counters = await journal.counters(
    CLUSTER_BOOK,
    days.map(({ group }) => group),
  );
  return days.flatMap(({ start }, index) => [...counters[index]!].map(([base, nodeMs]) => ({ start, base, nodeMs: Number(nodeMs) })));
}

interface Sum {
  readonly day: string;
  readonly base: string;
  nodeMs: Millis;
}

/** Sums on their way into the book; what they are called by tells whether they are there already. */
interface Batch {
  readonly epoch: number;
  readonly sequence: number;
  readonly sums: readonly Sum[];
}

class NodeSampler {
  readonly #deps: NodeHoursDeps;
  readonly #holder: string;
  readonly #sampleMs: Millis;
  readonly #batchSamples: number;
  readonly #writer: BookWriter;
  /** Undefined while another router counts. */
  #held: { readonly epoch: number; sampledAt: Millis; sequence: number } | undefined;
  #sums = new Map<string, Sum>();
  #samples = 0;
  /** What the store has not confirmed yet. */
  #batch: Batch | undefined;

  constructor(deps: NodeHoursDeps, options: NodeHoursOptions) {
    this.#deps = deps;
    this.#holder = options.holder;
    this.#sampleMs = options.sampleMs ?? SAMPLE_MS;
    this.#batchSamples = options.batchSamples ?? BATCH_SAMPLES;
    this.#writer = new BookWriter(deps);
  }

  /** A store that is away loses the lease, perhaps, but nothing that was counted while it was held. */
  async sample(): Promise<void> {
    try {
      await this.#renew();
      this.#count();
      if (this.#batch || this.#samples >= this.#batchSamples) await this.#write();
    } catch (error) {
      this.#deps.log.warn({ err: error }, "node hours could not be counted or written; it will be tried again");
    }
  }

  async close(): Promise<void> {
    try {
      await this.#write();
      await this.#write(); // What was counted behind a batch that had been waiting.
      await this.#deps.leases.release(LEASE, this.#holder);
    } catch (error) {
      this.#deps.log.warn({ err: error }, "the last node hours could not be written");
    }
  }

  async #renew(): Promise<void> {
    const lease = await this.#deps.leases.acquire(LEASE, this.#holder, Math.ceil(this.#sampleMs * TERM_SAMPLES));
    if (lease.kind === "taken") {
      await this.#write(); // Counted while the lease was held: it is nobody else's.
      this.#held = undefined;
    } else if (this.#held?.epoch !== lease.epoch) {
      this.#held = { epoch: lease.epoch, sampledAt: this.#deps.clock.monotonic(), sequence: 0 };
    }
  }

  /** Counts the time since the last look for everyone who is ready now. */
  #count(): void {
    if (!this.#held) return;
    const { clock, snapshot } = this.#deps;
    const now = clock.monotonic();
    // After a gap nobody knows what stood ready in it.
    const passedMs = Math.round(Math.min(now - this.#held.sampledAt, this.#sampleMs * TERM_SAMPLES));
    this.#held.sampledAt = now;
    if (passedMs === 0) return;
    const day = dayOf(clock.now());
    for (const node of snapshot().nodes.values()) {
      if (node.state !== "ready") continue;
      for (const { name: base } of node.bases.values()) {
        const sum = this.#sums.get(`${day} ${base}`) ?? { day, base, nodeMs: 0 };
        sum.nodeMs += passedMs;
        this.#sums.set(`${day} ${base}`, sum);
      }
    }
    this.#samples++;
  }

  async #write(): Promise<void> {
    if (!this.#batch && this.#held && this.#sums.size > 0) {
      this.#batch = { epoch: this.#held.epoch, sequence: ++this.#held.sequence, sums: [...this.#sums.values()] };
      this.#sums = new Map();
    }
    this.#samples = 0;
    const batch = this.#batch;
    if (!batch) return;
    const at = this.#deps.clock.now();
    await this.#writer.write(CLUSTER_BOOK, [epochKey(batch)], (book) => addBatch(book, this.#holder, batch, at));
    this.#batch = undefined;
  }
}

/** The last sequence number of an epoch: a batch whose commit was answered into the void is not written again. */
function epochKey(batch: Batch): string {
  return `epoch/${batch.epoch}`;
}

function addBatch(book: OpenBook, holder: string, batch: Batch, at: Millis): void {
  if (Number(book.value(epochKey(batch)) ?? 0) >= batch.sequence) return;
  book.append(nodeHoursText({ at, holder, ...batch }));
  for (const { day, base, nodeMs } of batch.sums) book.count(`${GROUP_PREFIX}${day}`, base, BigInt(nodeMs));
  book.setValue(epochKey(batch), String(batch.sequence));
}
