import fc from "fast-check";
import { expect, it } from "vitest";
import { EvictionHeap } from "./eviction-heap.ts";

interface Entry {
  priority: number;
  place: number;
  mayGo: boolean;
}

it("finds the lowest that may go, as a look at all would, after any changes", () => {
  const change = fc.record({
    kind: fc.constantFrom("add", "move", "remove"),
    which: fc.nat(),
    priority: fc.integer({ min: 0, max: 50 }),
    mayGo: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const heap = new EvictionHeap<Entry>();
      const all: Entry[] = [];
      for (const { kind, which, priority, mayGo } of changes) {
        const entry = all[which % Math.max(1, all.length)];
        if (kind === "add" || !entry) {
          const added = { priority, place: 0, mayGo };
          all.push(added);
          heap.add(added);
        } else if (kind === "move") {
          entry.priority = priority;
          heap.moved(entry);
        } else {
          all.splice(all.indexOf(entry), 1);
          heap.remove(entry);
        }
        const least = (entries: readonly Entry[]) => (entries.length === 0 ? undefined : Math.min(...entries.map((one) => one.priority)));
        expect(heap.lowest?.priority).toBe(least(all));
        expect(heap.first((one) => one.mayGo)?.priority).toBe(least(all.filter((one) => one.mayGo)));
      }
    }),
  );
});
