import { assert, Fault, type Millis, SECOND, type TenantId, TOKEN_WEIGHTS, type Tokens, TURN_SPARE, VirtualTokenCounter } from "#kernel";
import type { Ahead } from "#scheduler";
import { DrainRate } from "./drain-rate.ts";
import type { QueueLimits } from "./fair-queue.ts";
import type { Placement, PlacementAsk } from "./placement.ts";
import type { RoomPlace } from "./waiting-room.ts";

/** A request that waits for a node. Exactly one of `placed` and `refused` is called, once it has left the queue. */
export interface Waiting {
  readonly ask: PlacementAsk;
  /** By the monotonic clock. */
  readonly since: Millis;
  /** Why no node could serve it when it was last tried, however much room they have. */
  fault: Fault | undefined;
  /** In the room of those who wait for a node to come up; undefined for who waits for a row. */
  readonly place: RoomPlace | undefined;
  readonly placed: (placement: Placement) => void;
  readonly refused: (reason: unknown) => void;
}

interface Line {
  /** In order of arrival. */
  readonly waiting: Set<Waiting>;
  cost: number;
  /** What its tenant's running requests have taken since then. */
  readonly taking: { since: Millis; tokens: Tokens };
  standsStill: boolean;
}

/** What a client that was refused is asked to wait: at least this, for less is no relief; at most that, for nobody knows further ahead. */
const RETRY_MS_MIN: Millis = SECOND / 10;
const RETRY_MS_MAX: Millis = 30 * SECOND;
/** While nobody knows how fast the queue drains. */
const RETRY_MS_UNKNOWN: Millis = SECOND / 2;
/** Who asked so lately may ask again any moment: a light tenant asks every few seconds. */
const CONTENDED_MS: Millis = 10 * SECOND;

/** So long one looks at what a tenant takes before saying that it takes nothing. */
const STANDSTILL_MS: Millis = SECOND;
/** Of each running request. Whoever reads gets more also from a node that is busy: a step takes a tenth of a second. */
const STANDSTILL_TOKENS_PER_SECOND = 1;

/** Those who wait for one base: a line for each tenant, and whose turn it is. Says who and when, never waits itself. */
export class BaseQueue {
  readonly turns = new VirtualTokenCounter<TenantId>({ spare: TURN_SPARE });
  readonly #lines = new Map<TenantId, Line>();
  readonly #rate = new DrainRate();
  #depth = 0;
  #cost = 0;
  #lastTenant: TenantId | undefined;
  #asleep = false;
  /** Whether whoever was tried last found all nodes full: who comes now need not try. */
  isFull = false;
  /** When a node last came up for the base. */
  #awokeAt: Millis = Number.NEGATIVE_INFINITY;
  /** When requests of two tenants last came one after the other. */
  #mixedAt: Millis = Number.NEGATIVE_INFINITY;

  get depth(): number {
    return this.#depth;
  }

  /** Whether no node at all serves the base, as far as it was last tried. */
  get asleep(): boolean {
    return this.#asleep;
  }

  /** How long one has waited for its turn; who waited for a node to come up begins anew with it. */
  waitedMs({ since }: Waiting, now: Millis): Millis {
    return now - Math.max(since, this.#asleep ? since : this.#awokeAt);
  }

  /** The base has a node, or has none. While it has none nothing drains, which says nothing of how fast it will. */
  sleeps(asleep: boolean, now: Millis): void {
    if (asleep === this.#asleep) return;
    this.#asleep = asleep;
    if (asleep) this.#rate.idle(now);
    else {
      this.#awokeAt = now;
      if (this.#depth > 0) this.#rate.busy(now);
    }
  }

  /** A request came, whether or not it will have to wait. */
  arrived({ tenantId }: PlacementAsk, now: Millis): void {
    this.turns.arrived(tenantId);
    if (this.#lastTenant !== undefined && this.#lastTenant !== tenantId) this.#mixedAt = now;
    this.#lastTenant = tenantId;
  }

  ahead(tenantId: TenantId, now: Millis): Ahead {
    if (this.turns.belowShare(tenantId)) return "below_share";
    return now - this.#mixedAt >= CONTENDED_MS ? "alone" : "not";
  }

  *all(): Generator<Waiting> {
    for (const { waiting } of [...this.#lines.values()]) yield* [...waiting];
  }

  /** @throws Fault queue_full when one more of the tenant's is not taken in, or would wait longer than `waitMsMax` */
  check(ask: PlacementAsk, now: Millis, limits: QueueLimits, waitMsMax: Millis): void {
    const own = this.#lines.get(ask.tenantId)?.waiting.size ?? 0;
    if (own >= limits.depthPerTenantMax) throw this.full(ask, now, `${own} of your requests wait already`);
    if (this.#depth >= limits.depthMax && own + 1 >= this.#longest().waiting.size)
      throw this.full(ask, now, `${this.#depth} requests wait already`);
    // It goes before them; and if they are not read, nothing drains at all.
    if (own === 0 && this.turns.belowShare(ask.tenantId)) return;
    const rate = this.#rate.at(now);
    const waitMs = rate === undefined ? 0 : this.#costAhead(ask) / rate;
    if (waitMs <= waitMsMax) return;
    throw this.full(ask, now, `it would wait for about ${describe(waitMs)}`, waitMs - waitMsMax);
  }

  /** Puts in one that has arrived in the turns. */
  add(waiting: Waiting, now: Millis): void {
    const { tenantId } = waiting.ask;
    const line = this.#lines.get(tenantId) ?? { waiting: new Set(), cost: 0, taking: { since: now, tokens: 0 }, standsStill: false };
    this.#lines.set(tenantId, line);
    line.waiting.add(waiting);
    this.#count(line, costOf(waiting.ask), 1);
    if (!this.#asleep) this.#rate.busy(now);
  }

  /** Takes it out; what becomes of it in the turns is the caller's business. */
  remove(waiting: Waiting, now: Millis): void {
    const line = this.#lines.get(waiting.ask.tenantId);
    const present = line?.waiting.delete(waiting) ?? false;
    assert(line && present, "what leaves the queue is in it");
    if (line.waiting.size === 0) this.#lines.delete(waiting.ask.tenantId);
    this.#count(line, -costOf(waiting.ask), -1);
    if (this.#depth === 0) this.#rate.idle(now);
  }

  /** Takes out one that has got its node. */
  serve(waiting: Waiting, now: Millis): void {
    this.#rate.drained(now, costOf(waiting.ask));
    this.remove(waiting, now);
  }

  /** A running request of the tenant was given so many tokens more. */
  produced(tenantId: TenantId, tokens: Tokens): void {
    this.turns.produced(tenantId, tokens);
    const line = this.#lines.get(tenantId);
    if (line) line.taking.tokens += tokens;
  }

  /**
   * Whether the requests that a tenant has running hardly take what they are given, so that its counter stands still and it
   * would remain the next one, for rows that it does not use. `waiting`: one of its own.
   */
  standsStill({ ask: { tenantId } }: Waiting, now: Millis): boolean {
    const line = this.#lines.get(tenantId)!;
    const { since, tokens } = line.taking;
    if (now - since >= STANDSTILL_MS) {
      const least = this.turns.runningOf(tenantId) * STANDSTILL_TOKENS_PER_SECOND * ((now - since) / SECOND);
      line.standsStill = tokens < least;
      Object.assign(line.taking, { since: now, tokens: 0 });
    }
    return line.standsStill;
  }

  /** Who is first of a tenant that waits. */
  firstOf(tenantId: TenantId): Waiting {
    return first(this.#lines.get(tenantId)!);
  }

  /** Who must make room when the queue is full: the last to come of the tenant with the longest line. */
  newestOfLongest(): Waiting {
    return [...this.#longest().waiting].at(-1)!;
  }

  /** The first of each tenant. */
  longestOfEach(): readonly Waiting[] {
    return [...this.#lines.values()].map(first);
  }

  /** With advice when to come again: when `excessMs` have passed, or else when about one request's worth has drained. */
  full(ask: PlacementAsk, now: Millis, why: string, excessMs?: Millis): Fault<"queue_full"> {
    const rate = this.#rate.at(now);
    const waitMs = excessMs ?? (rate === undefined ? RETRY_MS_UNKNOWN : costOf(ask) / rate);
    const retry = { kind: "after", waitMs: Math.ceil(Math.min(RETRY_MS_MAX, Math.max(RETRY_MS_MIN, waitMs))) } as const;
    return new Fault("queue_full", `too many requests are waiting: ${why}`, { retry });
  }

  /** What is served before one more of the tenant's: its own, and of each other tenant at most as much as that. */
  #costAhead(ask: PlacementAsk): number {
    const line = this.#lines.get(ask.tenantId);
    const own = line?.cost ?? 0;
    const others = this.#lines.size - (line ? 1 : 0);
    return own + Math.min(this.#cost - own, (own + costOf(ask)) * others);
  }

  /** There is one. */
  #longest(): Line {
    let longest: Line | undefined;
    for (const line of this.#lines.values()) if (!longest || line.waiting.size > longest.waiting.size) longest = line;
    return longest!;
  }

  #count(line: Line, cost: number, count: 1 | -1): void {
    line.cost += cost;
    this.#cost += cost;
    this.#depth += count;
  }
}

/**
 * In weighted tokens, as the turns count them. Few texts are as long as they may be; but what drains is measured with the
 * same yard, so that the quotient is a time all the same.
 */
function costOf({ promptTokensEstimate, maxTokens, rows }: PlacementAsk): number {
  return Math.max(1, rows * (promptTokensEstimate * TOKEN_WEIGHTS.input + maxTokens * TOKEN_WEIGHTS.output));
}

function first({ waiting }: Line): Waiting {
  return waiting.values().next().value!;
}

function describe(waitMs: Millis): string {
  return Number.isFinite(waitMs) ? `${Math.ceil(waitMs / SECOND)} s` : "an unknown time";
}
