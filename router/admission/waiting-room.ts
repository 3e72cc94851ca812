import { type Bytes, type Clock, Fault, KIB, MIB, MINUTE, type Millis, SECOND, type TenantId } from "#kernel";
import type { PlacementAsk } from "./placement.ts";

export interface WaitingRoomLimits {
  /** Of all bases together: each holds a stream and a prompt in memory for minutes. */
  readonly requestsMax: number;
  /** Of them, one tenant's: nobody fills the room alone. */
  readonly requestsPerTenantMax: number;
  /** Of the prompts that wait. */
  readonly promptBytesMax: Bytes;
  /** From a cold machine to a loaded base: who has waited so long is told to come again. */
  readonly waitMsMax: Millis;
}

export const WAITING_ROOM_LIMITS: WaitingRoomLimits = {
  requestsMax: 1024,
  requestsPerTenantMax: 64,
  promptBytesMax: 64 * MIB,
  waitMsMax: 5 * MINUTE,
};

/** Which bases may have no node at all, and are woken by whoever asks for them. */
export interface WakeOptions {
  /** By name; `all` for every base. */
  readonly bases: "all" | readonly string[];
  /** So long after the last request its nodes are still wanted. Default: 5 minutes, the order of what waking costs. */
  readonly cooldownMs?: Millis;
  readonly limits?: WaitingRoomLimits;
}

/** What became of who waited, for the metrics. */
export type WaitEnd = "served" | "gone" | "shed";

export interface WaitingRoomDeps {
  readonly clock: Clock;
  readonly onLeft?: (end: WaitEnd) => void;
}

/** Somebody in the room. */
export interface RoomPlace {
  /** Only the first call counts. */
  leave(end: WaitEnd): void;
}

interface BaseUse {
  waiting: number;
  /** Requests from their arrival to their end. */
  open: number;
  lastUsedAt: Millis;
}

const COOLDOWN_MS: Millis = 5 * MINUTE;
/** Waking takes minutes: coming again every second is no use to anybody. */
const RETRY_MS: Millis = 10 * SECOND;
/** As strings and numbers lie in memory. */
const BYTES_PER_TOKEN: Bytes = 8;
/** The request around its prompt. */
const REQUEST_BYTES: Bytes = 4 * KIB;

/**
 * Where requests wait for a base that no node serves, and what says that nodes are wanted for it. Bounds and counts only: who is next when a
 * node appears is the queue's business, as always.
 */
export class WaitingRoom {
  readonly limits: WaitingRoomLimits;
  readonly #deps: WaitingRoomDeps;
  readonly #options: WakeOptions | undefined;
  readonly #tenants = new Map<TenantId, number>();
  readonly #bases = new Map<string, BaseUse>();
  #requests = 0;
  #promptBytes: Bytes = 0;

  /** Without options nothing is woken. */
  constructor(deps: WaitingRoomDeps, options?: WakeOptions) {
    this.#deps = deps;
    this.#options = options;
    this.limits = options?.limits ?? WAITING_ROOM_LIMITS;
  }

  get promptBytes(): Bytes {
    return this.#promptBytes;
  }

  /** Requests that wait, by base; every base that was ever asked for here is named. */
  waiting(): ReadonlyMap<string, number> {
    return new Map(this.#bases.entries().map(([base, { waiting }]) => [base, waiting]));
  }

  wakes(baseName: string | undefined): boolean {
    const bases = this.#options?.bases;
    return bases !== undefined && baseName !== undefined && (bases === "all" || bases.includes(baseName));
  }

  /** By base: 1 while somebody waits, is served or was lately, 0 when nobody has asked for the length of the cool-down. */
  nodesWanted(): ReadonlyMap<string, 0 | 1> {
    const now = this.#deps.clock.monotonic();
    const cooldownMs = this.#options?.cooldownMs ?? COOLDOWN_MS;
    const wanted = ({ open, lastUsedAt }: BaseUse) => (open > 0 || now - lastUsedAt < cooldownMs ? 1 : 0);
    const named = typeof this.#options?.bases === "object" ? this.#options.bases.map((base) => [base, 0 as const] as const) : [];
    return new Map([...named, ...this.#bases.entries().map(([base, use]) => [base, wanted(use)] as const)]);
  }

  /** A request for the base has come; gives what tells its end. */
  used(baseName: string | undefined): () => void {
    if (baseName === undefined || !this.wakes(baseName)) return () => undefined;
    const use = this.#use(baseName);
    use.open++;
    use.lastUsedAt = this.#deps.clock.monotonic();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      use.open--;
      use.lastUsedAt = this.#deps.clock.monotonic();
    };
  }

  /** @throws Fault queue_full when one more is not taken in */
  check(ask: PlacementAsk): void {
    const { requestsMax, requestsPerTenantMax, promptBytesMax } = this.limits;
    if ((this.#tenants.get(ask.tenantId) ?? 0) >= requestsPerTenantMax) throw full(`${requestsPerTenantMax} of your requests wait already`);
    if (this.#requests >= requestsMax) throw full(`${this.#requests} requests wait already`);
    if (this.#promptBytes + bytesOf(ask) > promptBytesMax) throw full("their prompts take all the memory there is for them");
  }

  /** @throws Fault queue_full */
  enter(ask: PlacementAsk): RoomPlace {
    this.check(ask);
    const use = this.#use(ask.baseName ?? "");
    this.#count(ask, use, 1);
    let left = false;
    return {
      leave: (end) => {
        if (left) return;
        left = true;
        this.#count(ask, use, -1);
        this.#deps.onLeft?.(end);
      },
    };
  }

  /** What somebody is told who has waited as long as the room lets them. */
  tooLong(waitedMs: Millis): Fault {
    const retry = { kind: "after", waitMs: RETRY_MS } as const;
    return new Fault("no_ready_node", `no node has come up for this base within ${Math.round(waitedMs / SECOND)} s`, { retry });
  }

  #use(baseName: string): BaseUse {
    const use = this.#bases.get(baseName) ?? { waiting: 0, open: 0, lastUsedAt: Number.NEGATIVE_INFINITY };
    this.#bases.set(baseName, use);
    return use;
  }

  #count(ask: PlacementAsk, use: BaseUse, count: 1 | -1): void {
    const own = (this.#tenants.get(ask.tenantId) ?? 0) + count;
    if (own === 0) this.#tenants.delete(ask.tenantId);
    else this.#tenants.set(ask.tenantId, own);
    use.waiting += count;
    this.#requests += count;
    this.#promptBytes += count * bytesOf(ask);
  }
}

function bytesOf({ promptTokensEstimate }: PlacementAsk): Bytes {
  return REQUEST_BYTES + promptTokensEstimate * BYTES_PER_TOKEN;
}

function full(why: string): Fault {
  return new Fault("queue_full", `no node serves this base yet, and too many wait for one: ${why}`, {
    retry: { kind: "after", waitMs: RETRY_MS },
  });
}
