import { describe, expect, it } from "vitest";
import { PASSED_MAX, serveInTurn, type TurnEnd } from "./turns.ts";
import { VirtualTokenCounter } from "./virtual-token-counter.ts";

function waiting(tenants: readonly number[]): VirtualTokenCounter<number> {
  const turns = new VirtualTokenCounter<number>();
  for (const tenant of tenants) turns.arrived(tenant);
  return turns;
}

/** In which order tenants were tried, each ending as `ends` says. */
function tried(turns: VirtualTokenCounter<number>, ends: (tenant: number) => TurnEnd): readonly number[] {
  const order: number[] = [];
  serveInTurn(turns, (tenant) => {
    order.push(tenant);
    const end = ends(tenant);
    if (end === "served") turns.started(tenant, 10);
    return end;
  });
  return order;
}

describe("serving in turn", () => {
  it("goes on until nobody waits", () => {
    expect(tried(waiting([1, 2, 1]), () => "served")).toEqual([1, 2, 1]);
  });

  it("passes over who can't use what there is, once, and stops when there is nothing", () => {
    expect(tried(waiting([1, 2, 3]), (tenant) => (tenant === 1 ? "passed" : tenant === 2 ? "served" : "full"))).toEqual([1, 2, 3]);
    expect(tried(waiting([1, 2, 3]), () => "full")).toEqual([1]);
  });

  it("looks no further than so many", () => {
    const tenants = Array.from({ length: 2 * PASSED_MAX }, (_, tenant) => tenant);
    expect(tried(waiting(tenants), () => "passed")).toHaveLength(PASSED_MAX);
  });
});
