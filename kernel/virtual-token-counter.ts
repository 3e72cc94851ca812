import { assert } from "./assert.ts";
import type { Tokens } from "./units.ts";

/** What a token of each kind costs the one it is computed for. */
export interface TokenWeights {
  readonly input: number;
  readonly output: number;
}

/** As in the paper: an output token takes a step of its own, an input token shares one with its whole prompt. */
export const TOKEN_WEIGHTS: TokenWeights = { input: 1, output: 2 };

/**
 * U: by how much the counters of two tenants differ at most while both stay backlogged. `inputMax`: of one piece of work; `outputMax`: of
 * all that is under way at once.
 */
export function counterDifferenceMax(inputMax: Tokens, outputMax: Tokens): number {
  return Math.max(TOKEN_WEIGHTS.input * inputMax, TOKEN_WEIGHTS.output * outputMax);
}

/**
 * So far ahead of those who are next a tenant may be that has far fewer pieces running than they: about three conversation turns (Azure's
 * trace of 2023: 1,020 tokens in and 129 out at the medians). Small beside U, so that whoever is backlogged gets the same all the same.
 */
export const TURN_SPARE = 4096;

/** Tenants whose running pieces differ by less are alike: pieces come and go one by one. */
const FAR_FEWER_RATIO = 2;

/** Whether who has `own` pieces of work running has so many fewer than who has `others` that its next piece need not wait for theirs. */
export function hasFarFewer(own: number, others: number): boolean {
  return FAR_FEWER_RATIO * own < others;
}

/** Far below 2^53, so that every sum stays exact; at 10^6 weighted tokens a second it is reached after 13 days. */
const REBASE_AT = 2 ** 40;

/** Below this it is not worth looking for who may be forgotten. */
const SWEEP_SIZE_MIN = 64;

interface Account<T> {
  readonly tenant: T;
  counter: number;
  waiting: number;
  running: number;
  /** Which of all starts was its last. */
  lastStart: number;
}

/**
 * Virtual Token Counter (Sheng et al. 2024, arXiv 2401.00588): who is next. A tenant's counter holds the weighted tokens
 * that were computed for it; the next to be served is the tenant with the smallest counter among those that are
 * backlogged, that is, have work waiting. Whoever becomes backlogged starts at least at the minimum of those that are:
 * idle time is no credit.
 *
 * For two tenants that stay backlogged the counters differ by at most U = max(w_in · L_in, w_out · M), where L_in is the
 * largest input and M the most output that is under way at once, and so what they are given meanwhile differs by at most
 * 2 U. With a `spare`, whoever has far fewer pieces running than the one that is next goes before it, unless it has been given so much more:
 * somebody who asks seldom, and asks once more before its last piece has ended, has been given that piece and does not wait for it. U grows by the spare.
 *
 * Pure: the same calls give the same answers. Memory is that of the tenants with work, and of those served a little more
 * than the present minimum.
 */
export class VirtualTokenCounter<T> {
  readonly #weights: TokenWeights;
  readonly #spare: number;
  readonly #rebaseAt: number;
  readonly #accounts = new Map<T, Account<T>>();
  /** In the order in which they became so. */
  readonly #backlogged = new Set<Account<T>>();
  /** Whoever was served last: where newcomers start when nobody is backlogged. */
  #last: Account<T> | undefined;
  #starts = 0;
  /** Pieces that are being computed, and tenants that have some. */
  #running = 0;
  #tenantsRunning = 0;
  #sweepAtSize = SWEEP_SIZE_MIN;

  /** `spare`: in weighted tokens. Default: none. */
  constructor(options: { readonly weights?: TokenWeights; readonly spare?: number; readonly rebaseAt?: number } = {}) {
    this.#weights = options.weights ?? TOKEN_WEIGHTS;
    this.#spare = options.spare ?? 0;
    this.#rebaseAt = options.rebaseAt ?? REBASE_AT;
  }

  /** How many tenants are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  /** One more piece of the tenant's work waits. */
  arrived(tenant: T): void {
    const account = this.#account(tenant);
    if (account.waiting++ > 0) return;
    account.counter = Math.max(account.counter, this.#floor());
    this.#backlogged.add(account);
  }

  /** A piece that waited was given up; it costs nothing. */
  withdrawn(tenant: T): void {
    this.#leave(this.#known(tenant));
  }

  /**
   * Whose turn it is; undefined when nobody waits, but those who are `passed` over. Among equals it is whoever was served
   * longest ago: who has just come starts beside those who never stop asking, and goes first.
   */
  next(passed?: ReadonlySet<T>): T | undefined {
    const next = this.#leastServed((account) => !passed?.has(account.tenant));
    if (!next || this.#spare === 0) return next?.tenant;
    const most = next.counter + this.#spare;
    const goesBefore = (account: Account<T>) =>
      hasFarFewer(account.running, next.running) && account.counter <= most && !passed?.has(account.tenant);
    return (this.#leastServed(goesBefore) ?? next).tenant;
  }

  /** A piece that waited begins to be computed. */
  started(tenant: T, inputTokens: Tokens): void {
    const account = this.#known(tenant);
    if (account.running++ === 0) this.#tenantsRunning++;
    this.#running++;
    account.lastStart = ++this.#starts;
    account.counter += inputTokens * this.#weights.input;
    this.#last = account;
    this.#leave(account);
    if (account.counter >= this.#rebaseAt) this.#rebase();
  }

  /** It has been given so many more tokens. */
  produced(tenant: T, outputTokens: Tokens): void {
    this.#known(tenant).counter += outputTokens * this.#weights.output;
  }

  /** The input turned out to be so much larger than was said at the start, or smaller when negative. */
  corrected(tenant: T, inputTokens: Tokens): void {
    const account = this.#known(tenant);
    account.counter = Math.max(0, account.counter + inputTokens * this.#weights.input);
  }

  /** A piece that was computed has ended. */
  ended(tenant: T): void {
    const account = this.#known(tenant);
    assert(account.running > 0, "more work ended than was started");
    if (--account.running === 0) this.#tenantsRunning--;
    this.#running--;
    this.#forget(account);
  }

  /** Whether fewer pieces of the tenant's work are being computed than would be if those that are were shared out evenly. */
  belowShare(tenant: T): boolean {
    const own = this.#accounts.get(tenant)?.running ?? 0;
    const tenants = this.#tenantsRunning + (own === 0 ? 1 : 0);
    return own * tenants < this.#running;
  }

  /** Pieces of the tenant's work that are being computed. */
  runningOf(tenant: T): number {
    return this.#accounts.get(tenant)?.running ?? 0;
  }

  /** Undefined for a tenant that starts wherever the others are. */
  counterOf(tenant: T): number | undefined {
    return this.#accounts.get(tenant)?.counter;
  }

  /** Of those that are backlogged. */
  #leastServed(isMeant: (account: Account<T>) => boolean): Account<T> | undefined {
    let least: Account<T> | undefined;
    for (const account of this.#backlogged) if ((!least || before(account, least)) && isMeant(account)) least = account;
    return least;
  }

  #account(tenant: T): Account<T> {
    const known = this.#accounts.get(tenant);
    if (known) return known;
    if (this.#accounts.size >= this.#sweepAtSize) this.#sweep();
    const account = { tenant, counter: 0, waiting: 0, running: 0, lastStart: 0 };
    this.#accounts.set(tenant, account);
    return account;
  }

  #known(tenant: T): Account<T> {
    const account = this.#accounts.get(tenant);
    assert(account, "no work of this tenant waits or runs");
    return account;
  }

  #leave(account: Account<T>): void {
    assert(account.waiting > 0, "more work left the queue than was in it");
    if (--account.waiting === 0) this.#backlogged.delete(account);
    this.#forget(account);
  }

  /** Where whoever becomes backlogged now starts at least. */
  #floor(): number {
    let floor = Number.POSITIVE_INFINITY;
    for (const { counter } of this.#backlogged) floor = Math.min(floor, counter);
    return floor === Number.POSITIVE_INFINITY ? (this.#last?.counter ?? 0) : floor;
  }

  /** An idle tenant that would start at the floor anyway need not be remembered. */
  #forget(account: Account<T>, floor?: number): void {
    if (account.waiting > 0 || account.running > 0) return;
    if (account.counter <= (floor ?? this.#floor())) this.#accounts.delete(account.tenant);
  }

  /** Forgets who was overtaken since it became idle. Costs each newcomer a constant, spread out. */
  #sweep(): void {
    const floor = this.#floor();
    for (const account of this.#accounts.values()) this.#forget(account, floor);
    this.#sweepAtSize = Math.max(SWEEP_SIZE_MIN, 2 * this.#accounts.size);
  }

  /** Takes from all counters what they have in common: only their differences mean anything. */
  #rebase(): void {
    const all = new Set(this.#accounts.values());
    if (this.#last) all.add(this.#last);
    let base = Number.POSITIVE_INFINITY;
    for (const { counter } of all) base = Math.min(base, counter);
    for (const account of all) account.counter -= base;
  }
}

function before<T>(one: Account<T>, other: Account<T>): boolean {
  return one.counter < other.counter || (one.counter === other.counter && one.lastStart < other.lastStart);
}
