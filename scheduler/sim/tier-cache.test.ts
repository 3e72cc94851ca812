import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVICTION_ORDERS } from "#kernel";
import { type SimEntry, TierCache } from "./tier-cache.ts";

const CAPACITY = 100;
const delta = fc.integer({ min: 0, max: 15 });
const anyCommand = fc.oneof(
  fc.record({ kind: fc.constant("admit" as const), delta, size: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ kind: fc.constantFrom("refer" as const, "release" as const, "pin" as const, "unpin" as const), delta }),
);

describe.each(Object.entries(EVICTION_ORDERS))("a tier in order %s, whatever happens", (_, createOrder) => {
  it("never holds more than its bytes, and never evicts what is used, pinned or loading", () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 120 }), (commands) => {
        const left: number[] = [];
        const tier = new TierCache(CAPACITY, createOrder(), (gone) => left.push(gone));
        let nowMs = 0;
        for (const command of commands) {
          nowMs += 10;
          const kept = [...tier.entries.values()].filter((entry) => entry.references > 0 || entry.pinned || entry.readyAtMs > nowMs);
          left.length = 0;
          apply(tier, command, nowMs);
          for (const entry of kept) expect(tier.get(entry.delta)).toBe(entry);
          for (const gone of left) expect(kept.map((entry) => entry.delta)).not.toContain(gone);
          const sizes = [...tier.entries.values()].map(({ sizeBytes }) => sizeBytes);
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(tier.usedBytes);
          expect(tier.usedBytes).toBeLessThanOrEqual(CAPACITY);
          const used = [...tier.entries.values()].filter(({ references }) => references > 0);
          expect(tier.referencedBytes).toBe(used.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
        }
      }),
    );
  });

  it("changes nothing when it can't make room", () => {
    const tier = new TierCache(CAPACITY, createOrder());
    const one = ready(tier, 1, 50);
    ready(tier, 2, 40);
    tier.refer(one);
    expect(tier.admit(3, 60, 1, 100)).toBeUndefined();
    expect([...tier.entries.keys()]).toEqual([1, 2]);
  });
});

function apply(tier: TierCache, command: { kind: string; delta: number; size?: number }, nowMs: number): void {
  const entry = tier.get(command.delta);
  if (command.kind === "admit" && !entry) {
    const admitted = tier.admit(command.delta, command.size!, 5, nowMs);
    if (admitted && command.delta % 3 > 0) admitted.readyAtMs = nowMs; // Every third never comes.
  } else if (entry && command.kind === "refer") tier.refer(entry);
  else if (entry && command.kind === "release" && entry.references > 0) tier.release(entry);
  else if (entry && command.kind.endsWith("pin")) entry.pinned = command.kind === "pin";
}

function ready(tier: TierCache, number: number, size: number): SimEntry {
  const entry = tier.admit(number, size, 1, 0)!;
  entry.readyAtMs = 0;
  return entry;
}
