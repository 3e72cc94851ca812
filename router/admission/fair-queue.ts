import { type BaseDigest, type Clock, Fault, type Millis, SECOND, serveInTurn, type TenantId, type Tokens, type TurnEnd } from "#kernel";
import { type Ahead, SLOT_WAIT_MS_MAX } from "#scheduler";
import { BaseQueue, type Waiting } from "./base-queue.ts";
import type { Placement, PlacementAsk } from "./placement.ts";
import { type WaitEnd, WaitingRoom } from "./waiting-room.ts";

export interface QueueLimits {
  /** Requests of one base that wait for a row. Each holds a prompt in memory. */
  readonly depthMax: number;
  /** Of them, one tenant's: more would only wait behind its own. */
  readonly depthPerTenantMax: number;
  /** Whoever would have to wait longer, as things stand, is refused at once: that is about as long as a client has patience. */
  readonly expectedWaitMsMax: Millis;
  /** Whoever has waited so long in fact is sent away: the expectation was wrong, the nodes are slower than they were. */
  readonly waitMsMax: Millis;
}

export const QUEUE_LIMITS: QueueLimits = {
  depthMax: 2048,
  depthPerTenantMax: 512,
  expectedWaitMsMax: 10 * SECOND,
  waitMsMax: 20 * SECOND,
};

/** What came of looking for a node. */
export type Attempt =
  | { readonly kind: "placed"; readonly placement: Placement }
  /** Every node that could serve it is full. */
  | { readonly kind: "full" }
  /** A node has room, but not one that could serve this. */
  | { readonly kind: "unfit" }
  /** No node could serve it, however long it waits for rows to end. */
  | {
      readonly kind: "none";
      readonly fault: Fault;
      /** No node serves the base at all: one may be woken. */
      readonly asleep?: boolean;
    };

export interface FairQueueDeps {
  readonly clock: Clock;
  readonly tryPlace: (ask: PlacementAsk, ahead: Ahead) => Attempt;
  /** Told of everyone who got a node: how long it took. */
  readonly onWaited: (waitMs: Millis) => void;
  /** Default: no base is woken. */
  readonly room?: WaitingRoom;
}

/** A request that has got its first node. Dispose it when the request, not only the placement, has ended. */
export interface Turn extends Disposable {
  /** The caller's to dispose. */
  readonly placement: Placement;
  /** It was given so many more tokens, over all of its choices. */
  produced(tokens: Tokens): void;
  /** So many prompt tokens were really computed for each choice. Only the first call counts. */
  measured(promptTokens: Tokens): void;
}

/** Rows end and snapshots come as events; this is for what is none: a failed node that is tried again, a wait that has lasted too long. */
const POLL_MS: Millis = 100;

/**
 * Who gets the next row of a base. A request is sent to a node only when that has room for it; otherwise it waits here,
 * where the tenant with the smallest virtual token counter is next, not in the node, where it would be before whoever
 * comes later. What can't be served in time is refused when it comes, without any I/O.
 */
export class FairQueue {
  readonly #deps: FairQueueDeps;
  readonly #limits: QueueLimits;
  readonly #room: WaitingRoom;
  readonly #bases = new Map<BaseDigest, BaseQueue>();
  #closed = false;
  #polling = false;

  constructor(deps: FairQueueDeps, limits: QueueLimits = QUEUE_LIMITS) {
    this.#deps = deps;
    this.#limits = limits;
    this.#room = deps.room ?? new WaitingRoom(deps);
  }

  /** Requests that wait. */
  get depth(): number {
    return this.#bases.values().reduce((sum, base) => sum + base.depth, 0);
  }

  /**
   * Whether there is any sense in going on with a request. Changes nothing.
   * @throws Fault queue_full, shutting_down
   */
  check(ask: PlacementAsk, deadlineAt?: Millis): void {
    if (this.#closed) throw shuttingDown();
    const base = this.#bases.get(ask.baseDigest);
    if (!base || base.depth === 0) return;
    if (base.asleep) {
      if (this.#isWoken(base, ask)) this.#room.check(ask);
      return; // Nothing drains: whether a node has come up is known when it is tried.
    }
    const now = this.#deps.clock.monotonic();
    const deadlineMs = deadlineAt === undefined ? Number.POSITIVE_INFINITY : deadlineAt - this.#deps.clock.now();
    base.check(ask, now, this.#limits, Math.min(deadlineMs, this.#limits.expectedWaitMsMax));
  }

  /**
   * A node for a request's first attempt: at once when one has room and nobody waits, else when its turn comes.
   * @param deadlineAt when the client gives up, milliseconds since the epoch
   * @throws Fault queue_full, no_ready_node, shutting_down; the signal's own reason
   */
  enter(ask: PlacementAsk, signal: AbortSignal, deadlineAt?: Millis): Turn | Promise<Turn> {
    signal.throwIfAborted();
    const base = this.#base(ask.baseDigest);
    if (this.#isStuck(base, ask)) this.#serve(base); // A node may have come up for those who wait.
    this.check(ask, deadlineAt);
    base.arrived(ask, this.#deps.clock.monotonic());
    const ended = this.#room.used(ask.baseName);
    try {
      if (base.depth === 0 || this.#isStuck(base, ask)) {
        const attempt = this.#tryPlace(base, ask, 0);
        if (attempt.kind === "none" && !this.#isWoken(base, ask)) throw attempt.fault;
        if (attempt.kind === "placed") {
          this.#deps.onWaited(0);
          return turnOf(base, ask, attempt.placement, ended);
        }
      }
      return this.#wait(base, ask, signal, ended);
    } catch (error) {
      base.turns.withdrawn(ask.tenantId);
      ended();
      throw error;
    }
  }

  /** There may be room on the nodes of a base. */
  wake(baseDigest: BaseDigest): void {
    const base = this.#bases.get(baseDigest);
    if (base) this.#serve(base);
  }

  /** The nodes have changed. */
  wakeAll(): void {
    for (const base of this.#bases.values()) this.#serve(base);
  }

  /** From now on everyone is refused, also those who wait. */
  close(): void {
    this.#closed = true;
    for (const base of this.#bases.values()) for (const waiting of base.all()) this.#refuse(base, waiting, shuttingDown());
  }

  /** @throws Fault queue_full when there is no room for those who wait for a node to come up */
  #wait(base: BaseQueue, ask: PlacementAsk, signal: AbortSignal, ended: () => void): Promise<Turn> {
    const now = this.#deps.clock.monotonic();
    const place = this.#isWoken(base, ask) ? this.#room.enter(ask) : undefined;
    const evicted = base.depth >= this.#limits.depthMax ? base.newestOfLongest() : undefined;
    if (evicted) this.#refuse(base, evicted, base.full(evicted.ask, now, "others have fewer requests waiting"));
    return new Promise((resolve, reject) => {
      const abort = () => this.#refuse(base, waiting, signal.reason);
      const settled = (end: WaitEnd) => {
        signal.removeEventListener("abort", abort);
        place?.leave(end);
      };
      const waiting: Waiting = {
        ask,
        since: now,
        fault: undefined,
        place,
        placed: (placement) => {
          settled("served");
          resolve(turnOf(base, ask, placement, ended));
        },
        refused: (reason) => {
          settled(signal.aborted ? "gone" : "shed");
          ended();
          reject(reason);
        },
      };
      signal.addEventListener("abort", abort, { once: true });
      base.add(waiting, now);
      if (base.ahead(ask.tenantId, now) !== "not") this.#serve(base);
      else if (!base.isFull && base.firstOf(ask.tenantId) === waiting) this.#serveFirstOf(base, ask.tenantId);
      if (!this.#polling) void this.#poll();
    });
  }

  /**
   * Gives nodes to those in front, until nobody waits or no node has room. Whoever is first and does not read what it has does
   * not hold up those with less than their share, for whom a node takes rows back.
   */
  #serve(base: BaseQueue): void {
    serveInTurn(base.turns, (tenantId) => this.#serveFirstOf(base, tenantId));
  }

  #serveFirstOf(base: BaseQueue, tenantId: TenantId): TurnEnd {
    const now = this.#deps.clock.monotonic();
    const waiting = base.firstOf(tenantId);
    const attempt = this.#tryPlace(base, waiting.ask, base.waitedMs(waiting, now));
    if (attempt.kind === "full" && !base.standsStill(waiting, now)) return "full";
    if (attempt.kind === "placed") {
      base.serve(waiting, now);
      this.#deps.onWaited(now - waiting.since);
      waiting.placed(attempt.placement);
      return "served";
    }
    waiting.fault = attempt.kind === "none" ? attempt.fault : undefined;
    return "passed"; // Its nodes may come back: it goes on waiting.
  }

  #tryPlace(base: BaseQueue, ask: PlacementAsk, waitedMs: Millis): Attempt {
    const now = this.#deps.clock.monotonic();
    const needsSlot = waitedMs < SLOT_WAIT_MS_MAX;
    const attempt = this.#deps.tryPlace({ ...ask, needsSlot }, base.ahead(ask.tenantId, now));
    base.isFull = attempt.kind === "full";
    base.sleeps(attempt.kind === "none" && attempt.asleep === true, now);
    return attempt;
  }

  /** Whether requests wait for a node that nothing will bring up for this one. */
  #isStuck(base: BaseQueue, ask: PlacementAsk): boolean {
    return base.asleep && base.depth > 0 && !this.#isWoken(base, ask);
  }

  #isWoken(base: BaseQueue, { baseName }: PlacementAsk): boolean {
    return base.asleep && this.#room.wakes(baseName);
  }

  #refuse(base: BaseQueue, waiting: Waiting, reason: unknown): void {
    base.remove(waiting, this.#deps.clock.monotonic());
    base.turns.withdrawn(waiting.ask.tenantId);
    waiting.refused(reason);
  }

  async #poll(): Promise<void> {
    this.#polling = true;
    while (this.depth > 0) {
      await this.#deps.clock.after(POLL_MS);
      for (const base of this.#bases.values()) this.#sendAway(base);
      this.wakeAll();
    }
    this.#polling = false;
  }

  #sendAway(base: BaseQueue): void {
    const now = this.#deps.clock.monotonic();
    for (const waiting of base.longestOfEach()) {
      const waitedMs = Math.round(base.waitedMs(waiting, now));
      const inRoom = waiting.place !== undefined && base.asleep;
      if (waitedMs <= (inRoom ? this.#room.limits.waitMsMax : this.#limits.waitMsMax)) continue;
      if (inRoom) this.#refuse(base, waiting, this.#room.tooLong(waitedMs));
      else this.#refuse(base, waiting, waiting.fault ?? base.full(waiting.ask, now, `no node had room within ${waitedMs} ms`));
    }
  }

  #base(digest: BaseDigest): BaseQueue {
    const base = this.#bases.get(digest) ?? new BaseQueue();
    this.#bases.set(digest, base);
    return base;
  }
}

/** Of a request that has arrived in the base's turns, which counts it as running from now on. */
function turnOf(
  base: BaseQueue,
  { tenantId, promptTokensEstimate, rows }: PlacementAsk,
  placement: Placement,
  whenEnded: () => void,
): Turn {
  const { turns } = base;
  turns.started(tenantId, promptTokensEstimate * rows);
  let measured = false;
  let ended = false;
  return {
    placement,
    produced: (tokens) => base.produced(tenantId, tokens),
    measured(promptTokens) {
      if (!measured) turns.corrected(tenantId, (promptTokens - promptTokensEstimate) * rows);
      measured = true;
    },
    [Symbol.dispose]() {
      if (!ended) turns.ended(tenantId);
      whenEnded();
      ended = true;
    },
  };
}

function shuttingDown(): Fault {
  return new Fault("shutting_down", "this router is shutting down");
}
