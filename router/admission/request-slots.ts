import { Fault, type TenantId } from "#kernel";

export interface RequestSlotLimits {
  /** Requests in progress on this router: each holds a stream, its buffers and its tokens in memory. */
  readonly requestsMax: number;
  /** Of them, one tenant's: nobody can fill the router alone. */
  readonly requestsPerTenantMax: number;
}

export const REQUEST_SLOT_LIMITS: RequestSlotLimits = { requestsMax: 4096, requestsPerTenantMax: 1024 };

/** One request's place. Dispose it when the request has ended. */
export interface RequestSlot extends Disposable {
  /** It has its first token. Idempotent. */
  served(): void;
}

/** Bounds what is in progress. What does not fit is refused at once, it never waits. */
export class RequestSlots {
  readonly #limits: RequestSlotLimits;
  readonly #byTenant = new Map<TenantId, number>();
  #running = 0;
  #waiting = 0;
  #closed = false;
  readonly #idle: (() => void)[] = [];

  constructor(limits: RequestSlotLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  /** Of the running ones, those without a first token. */
  get waiting(): number {
    return this.#waiting;
  }

  /** From now on every request is refused. */
  close(): void {
    this.#closed = true;
  }

  /** Resolves when nothing is in progress. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#running === 0) resolve();
      else this.#idle.push(resolve);
    });
  }

  /** @throws Fault queue_full, or shutting_down after {@link close} */
  take(tenantId: TenantId): RequestSlot {
    if (this.#closed) throw new Fault("shutting_down", "this router is shutting down");
    if (this.#running >= this.#limits.requestsMax) throw new Fault("queue_full", "too many requests are in progress");
    const own = this.#byTenant.get(tenantId) ?? 0;
    if (own >= this.#limits.requestsPerTenantMax) {
      throw new Fault("queue_full", `the tenant ${tenantId} has ${own} requests in progress, as many as it may`);
    }
    this.#byTenant.set(tenantId, own + 1);
    this.#running++;
    this.#waiting++;
    let state: "waiting" | "served" | "ended" = "waiting";
    const served = () => {
      if (state !== "waiting") return;
      state = "served";
      this.#waiting--;
    };
    return {
      served,
      [Symbol.dispose]: () => {
        served();
        if (state !== "ended") this.#release(tenantId);
        state = "ended";
      },
    };
  }

  #release(tenantId: TenantId): void {
    this.#running--;
    const left = this.#byTenant.get(tenantId)! - 1;
    if (left === 0) this.#byTenant.delete(tenantId);
    else this.#byTenant.set(tenantId, left);
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
