import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CacheEntry, createCacheEntry, EVICTION_ORDERS } from "./index.ts";

function lowest(entries: ReadonlyMap<string, CacheEntry>): string {
  return [...entries].reduce((least, entry) => (entry[1].priority < least[1].priority ? entry : least))[0];
}

describe("who leaves first", () => {
  it("LRU: whoever was not used for longest", () => {
    const order = EVICTION_ORDERS.lru();
    const entries = new Map(["a", "b"].map((name) => [name, createCacheEntry(10, 1)]));
    order.used(entries.get("a")!, 1);
    order.used(entries.get("b")!, 2);
    order.used(entries.get("a")!, 3);
    expect(lowest(entries)).toBe("b");
  });

  it.each(["gdsf", "cost"] as const)("%s: at equal use the one that is cheaper to have again per byte", (name) => {
    const order = EVICTION_ORDERS[name]();
    const entries = new Map([
      ["large", createCacheEntry(1000, 20)],
      ["small", createCacheEntry(10, 10)],
    ]);
    for (const entry of entries.values()) order.used(entry, 5);
    expect(lowest(entries)).toBe("large");
  });

  it.each(["gdsf", "cost"] as const)("%s: at equal cost the one used more rarely, even if it was used last", (name) => {
    const order = EVICTION_ORDERS[name]();
    const entries = new Map(["often", "once"].map((key) => [key, createCacheEntry(10, 1)]));
    for (let use = 0; use < 5; use++) order.used(entries.get("often")!, use);
    order.used(entries.get("once")!, 10);
    expect(lowest(entries)).toBe("once");
  });

  it("GDSF ages: what was popular once leaves after enough others have", () => {
    const order = EVICTION_ORDERS.gdsf();
    const old = createCacheEntry(10, 10);
    for (let use = 0; use < 5; use++) order.used(old, use);
    let left = 0;
    for (; left < 100; left++) {
      const next = createCacheEntry(10, 10);
      order.used(next, left);
      if (next.priority > old.priority) break;
      order.evicted(next);
    }
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(100);
  });

  it("the cost score's order is that of the decayed rates, whenever one looks", () => {
    const uses = fc.array(fc.integer({ min: 0, max: 3_600_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(uses, uses, (one, other) => {
        const score = (times: readonly number[]) => {
          const order = EVICTION_ORDERS.cost();
          const entry = createCacheEntry(1, 1);
          for (const time of [...times].sort((a, b) => a - b)) order.used(entry, time);
          return entry.priority;
        };
        const rate = (times: readonly number[]) => times.reduce((sum, time) => sum + 2 ** ((time - 3_600_000) / 300_000), 0);
        expect(score(one) - score(other)).toBeCloseTo(Math.log2(rate(one) / rate(other)), 6);
      }),
    );
  });
});
