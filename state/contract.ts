import type { Millis } from "#kernel";

/**
 * Everything hard that Deltaplane keeps, behind five small contracts. Implementations pass `contract-suite.ts`. Every
 * method may be called again after a lost reply without doing anything twice, and throws Fault store_unreachable when
 * the store does not answer in time.
 */
export interface StateStore extends AsyncDisposable {
  readonly records: Records;
  readonly journal: Journal;
  readonly meters: Meters;
  readonly leases: Leases;
  readonly answers: Answers;
  /** What in this store's set-up could lose what it has acknowledged, one sentence each; empty when nothing could. */
  readonly weaknesses: readonly string[];
}

/** A value with the version that a writer must name to replace it. */
export interface Versioned<T = unknown> {
  readonly key: string;
  readonly value: T;
  readonly version: number;
}

/** A change to a record; `value` is undefined when it was removed. */
export interface RecordChange {
  readonly key: string;
  readonly value: unknown;
  readonly version: number;
}

export type Put = { readonly kind: "put"; readonly version: number } | { readonly kind: "conflict"; readonly version: number | undefined };

/** Small JSON values under keys like `delta/<digest>`. Compare-and-set is the only way to write. */
export interface Records {
  get(key: string): Promise<Versioned | undefined>;
  /** Writes `value` if the record's version is `version` (undefined: if there is no such record). Versions grow and are never given twice. */
  putIf(key: string, value: unknown, version: number | undefined): Promise<Put>;
  /** Removes the record if its version is `version`. */
  removeIf(key: string, version: number): Promise<Put>;
  /** In order of keys. */
  list(prefix: string): Promise<readonly Versioned[]>;
  /**
   * First every present record under the prefix, then what changes, until the signal aborts: then it ends. Whoever reads
   * slowly gets the last change of each record, perhaps not every one between.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<RecordChange>;
}

/** Where a book ends: how many lines it has, and the hash of the last one ("" when it has none). */
export interface Head {
  readonly position: number;
  readonly hash: string;
}

/** One line of a book. What text and hash mean is the writer's business; the store keeps them as they are. */
export interface Line {
  readonly text: string;
  readonly hash: string;
}

export interface StoredLine extends Line {
  /** From 1. */
  readonly position: number;
}

/** The present state of a book, as far as it was asked for. Keys without a value are absent. */
export interface Page {
  readonly book: string;
  readonly head: Head;
  readonly values: ReadonlyMap<string, string>;
}

/** Adds `amount`, which may be negative, to a counter that starts at 0 and holds 64 bits: a change that would leave them is a Fault. */
export interface CounterChange {
  readonly group: string;
  readonly name: string;
  readonly amount: bigint;
}

/** What is done to one book: all of it, or nothing. */
export interface BookChange {
  readonly book: string;
  /** The head's position on which the change is based; any other head is a conflict. */
  readonly basedOn: number;
  /** Appended. At least one: a change without a line could not be told from its repetition. */
  readonly lines: readonly Line[];
  /** What is new in the book's state. Keys that grow with time cost a store on disk the least: those of one commit lie together. */
  readonly values: ReadonlyMap<string, string>;
  readonly counters: readonly CounterChange[];
  /** Takes of {@link Meters}, under the account of the book's name, whose holds end with this change; those unknown are ignored. */
  readonly releases: readonly string[];
}

export type Committed = { readonly kind: "committed"; readonly head: Head } | { readonly kind: "conflict" };

/**
 * Books: append-only lines with a few values and counters that change together with them. A tenant has one; its writers
 * read, compute, and commit on the condition that nobody else has meanwhile. So the one rule of a ledger, that nothing
 * is counted twice, needs nothing from the store but a compare-and-append.
 */
export interface Journal {
  /** One page per ask, in order; a book that does not exist is an empty one. */
  read(asks: readonly { readonly book: string; readonly keys: readonly string[] }[]): Promise<readonly Page[]>;
  /** One outcome per change, in order, each book on its own. Durable when it resolves. No book may appear twice. */
  commit(changes: readonly BookChange[]): Promise<readonly Committed[]>;
  /** The `count` lines, fewer only where the book ends, from position `from` (1 is the first). */
  lines(book: string, from: number, count: number): Promise<readonly StoredLine[]>;
  /** The counters of each group, in order; an unknown group is empty. */
  counters(book: string, groups: readonly string[]): Promise<readonly ReadonlyMap<string, bigint>[]>;
  /** Names of the book's counter groups, in order. */
  groups(book: string): Promise<readonly string[]>;
  /** All books that were ever written, in order. */
  books(): Promise<readonly string[]>;
}

/**
 * What a request draws from one bucket of its account, which holds `limit` and refills evenly, from empty to full in
 * `windowMs`. Whole numbers from 0; `bucket.ts` has the arithmetic.
 */
export interface Draw {
  readonly meter: string;
  readonly amount: number;
  readonly limit: number;
  readonly windowMs: Millis;
}

/** Money set aside. Fits when what is spent, what is held and this together stay within the budget (at most 2^53 - 1). */
export interface HoldAsk {
  readonly amount: bigint;
  readonly budget: bigint;
  /** The counter, in the book of the account's name, that says what is spent. */
  readonly spent: { readonly group: string; readonly name: string };
}

export interface TakeAsk {
  readonly account: string;
  /**
   * Of the request. The same id again, while it is live, gives the first answer and takes nothing. Once it is settled it
   * is free; a hold that then takes the place of one that still stays counts alone.
   */
  readonly id: string;
  readonly draws: readonly Draw[];
  /** How many takes of the account may be live at once. */
  readonly liveMax?: number;
  readonly hold?: HoldAsk;
  /** After this, a take that was never settled ends by itself, and so does a hold that was never released. */
  readonly lifeMs: Millis;
}

export interface MeterState {
  readonly meter: string;
  /** In whole tokens; below zero when more was used than drawn. */
  readonly left: number;
  /** Until the bucket is full again. */
  readonly fullInMs: Millis;
}

export type Take =
  /** One state per draw, in order, after it; what is left of the budget when there is a hold. */
  | { readonly kind: "taken"; readonly meters: readonly MeterState[]; readonly budgetLeft: bigint | undefined }
  /** `what` is a meter's name, `live` or `budget`; without `waitMs`, waiting does not help. Nothing was taken; the states are those of now. */
  | { readonly kind: "short"; readonly what: string; readonly waitMs: Millis | undefined; readonly meters: readonly MeterState[] };

/** Limits shared by all routers, by the store's own time. */
export interface Meters {
  /** Everything that is asked for, or nothing; the first that is short, in the order live, draws, budget, is told. */
  take(ask: TakeAsk): Promise<Take>;
  /**
   * Ends a take. Of each draw, what was not `used` goes back (what was used beyond it is drawn, below zero if need be);
   * a meter that is not named was not used. A hold that `stays` waits for {@link BookChange.releases}, so that money is
   * never neither held nor spent. A take that is not live, also one that was settled, is left as it is.
   */
  settle(account: string, id: string, used: Readonly<Record<string, number>>, hold: "ends" | "stays"): Promise<void>;
  /** Ends the holds of these takes, live or not, without a change to a book: for who was paid for before. Those unknown are ignored. */
  release(account: string, ids: readonly string[]): Promise<void>;
  /** The live takes of an account, and the sum of all its holds. */
  live(account: string): Promise<{ readonly count: number; readonly held: bigint }>;
}

export type Lease =
  /**
   * `epoch` grows by one with every change of holder, for ever: what an earlier holder still sends can be told by it. A
   * lease that ran out or was given back has no holder, so that who takes it again gets a new epoch.
   */
  { readonly kind: "held"; readonly epoch: number } | { readonly kind: "taken"; readonly holder: string; readonly leftMs: Millis };

/** At most one holder of a name at a time, by the store's own time. */
export interface Leases {
  /** Takes the lease, or renews it for the same holder with the same epoch. */
  acquire(name: string, holder: string, termMs: Millis): Promise<Lease>;
  /** Gives it back early; does nothing when somebody else holds it. */
  release(name: string, holder: string): Promise<void>;
}

export type Begun =
  | { readonly kind: "begun" }
  /** Somebody is at it. */
  | { readonly kind: "running"; readonly leftMs: Millis }
  /** The key was used for another question. */
  | { readonly kind: "other_question" }
  | { readonly kind: "done"; readonly answer: string };

/** What was answered under an idempotency key. */
export interface Answers {
  /** Begins to answer for `termMs`, unless it is being done or was done. The same holder may begin again. */
  begin(ask: {
    readonly account: string;
    readonly key: string;
    /** Of the question; a key belongs to one. */
    readonly digest: string;
    readonly holder: string;
    readonly termMs: Millis;
  }): Promise<Begun>;
  /** Keeps the answer for `keepMs`. Does nothing unless `holder` is at it: not once its term is over, nor a second time. */
  finish(account: string, key: string, holder: string, answer: string, keepMs: Millis): Promise<void>;
  /** Forgets what `holder` is at; does nothing to what is done. */
  abandon(account: string, key: string, holder: string): Promise<void>;
}
