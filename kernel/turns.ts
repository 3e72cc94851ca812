import type { VirtualTokenCounter } from "./virtual-token-counter.ts";

/** What came of whoever was first of the tenant whose turn it was: it left the queue, can't leave it now though others may, or nobody can. */
export type TurnEnd = "served" | "passed" | "full";

/**
 * So many tenants may be passed over in one look: those whose delta finds no slot while rows idle, or whose rank only some nodes take. With 8, simulated
 * nodes of few slots had a median six times as long; with 64 they fare as with 256.
 */
export const PASSED_MAX = 64;

/** Serves tenants in turn until nobody waits, nothing is left to give, or too many could not use it. Routers and the simulator's queue go by it. */
export function serveInTurn<T>(turns: VirtualTokenCounter<T>, serveFirstOf: (tenant: T) => TurnEnd): void {
  const passed = new Set<T>();
  for (let tenant = turns.next(passed); tenant !== undefined && passed.size < PASSED_MAX; tenant = turns.next(passed)) {
    const end = serveFirstOf(tenant);
    if (end === "full") return;
    if (end === "passed") passed.add(tenant);
  }
}
