import { type Clock, Fault, type TenantId } from "#kernel";
import type { CatalogView } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { authenticate, suspended } from "./authentication.ts";
import type { KeyUses } from "./key-uses.ts";

/** Something that runs on behalf of a key. Dispose it when it has ended. */
export interface WatchedAccess extends Disposable {
  /** Aborts with Fault key_unknown when the key is revoked, tenant_suspended when its tenant is. */
  readonly signal: AbortSignal;
}

interface Running {
  readonly principal: Principal;
  readonly lost: AbortController;
}

/**
 * Who may come in, and for how long: keys are checked against the records in memory, and what runs on behalf of a key
 * ends when the key or its tenant loses access. A key that expires ends nothing that it has begun.
 */
export class Access implements Disposable {
  readonly #deps: { readonly view: CatalogView; readonly clock: Clock; readonly uses: Pick<KeyUses, "used"> };
  /** By the records that decide over it: `key/<id>` and `tenant/<id>`. */
  readonly #running = new Map<string, Set<Running>>();
  readonly #unsubscribe: () => void;

  constructor(deps: { readonly view: CatalogView; readonly clock: Clock; readonly uses: Pick<KeyUses, "used"> }) {
    this.#deps = deps;
    this.#unsubscribe = deps.view.onChange((kind, id) => {
      if (kind === "key" || kind === "tenant") for (const running of [...(this.#running.get(`${kind}/${id}`) ?? [])]) this.#check(running);
    });
  }

  /** @throws Fault key_missing, key_unknown or tenant_suspended; see {@link authenticate} */
  authenticate(credential: string | undefined): Principal {
    const { view, clock, uses } = this.#deps;
    const now = clock.now();
    const principal = authenticate(view, credential, now);
    uses.used(principal.keyId, now);
    return principal;
  }

  watch(principal: Principal): WatchedAccess {
    const running = { principal, lost: new AbortController() };
    const places = [`key/${principal.keyId}`, ...(principal.tenantId === undefined ? [] : [`tenant/${principal.tenantId}`])];
    for (const place of places) {
      const all = this.#running.get(place);
      if (all) all.add(running);
      else this.#running.set(place, new Set([running]));
    }
    this.#check(running); // It may have lost access since it was authenticated.
    return { signal: running.lost.signal, [Symbol.dispose]: () => this.#forget(places, running) };
  }

  /** How much runs for a tenant here. */
  runningFor(tenantId: TenantId): number {
    return this.#running.get(`tenant/${tenantId}`)?.size ?? 0;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #check({ principal, lost }: Running): void {
    const { view } = this.#deps;
    const { keyId, tenantId } = principal;
    const key = view.get("key", keyId);
    const tenant = tenantId === undefined ? undefined : view.get("tenant", tenantId);
    const gone = !key || key.revokedAt !== undefined || (tenantId !== undefined && !tenant);
    if (gone) lost.abort(new Fault("key_unknown", "the API key is not valid any more"));
    else if (tenant?.suspendedAt !== undefined) lost.abort(suspended(tenant.id));
  }

  #forget(places: readonly string[], running: Running): void {
    for (const place of places) {
      const all = this.#running.get(place);
      all?.delete(running);
      if (all?.size === 0) this.#running.delete(place);
    }
  }
}
