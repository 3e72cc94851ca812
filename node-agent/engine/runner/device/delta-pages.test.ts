import fc from "fast-check";
import { expect, test } from "vitest";
import { PAGE_RANKS } from "#model";
import type { Slot } from "../../contract.ts";
import { DeltaPages } from "./delta-pages.ts";

const SEED = 20_261_124; // fast-check prints it, with the path, when a property fails.

test("whatever comes and goes, no page has two owners, and a step finds each delta's pages whole", () => {
  const steps = fc.array(fc.record({ rank: fc.integer({ min: 1, max: 70 }), leave: fc.nat(), active: fc.integer({ min: 1, max: 255 }) }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(steps, (moves) => {
      const pages = new DeltaPages(8, 32);
      const attached = new Map<Slot, number>();
      for (const { rank, leave, active } of moves) {
        const slot = pages.take(rank);
        if (slot === undefined) {
          const leaving = [...attached.keys()][leave % attached.size]!;
          pages.giveBack(leaving);
          attached.delete(leaving);
          continue;
        }
        attached.set(slot, rank);
        const owned = [...attached.keys()].flatMap((each) => pages.of(each));
        expect(new Set(owned).size).toBe(owned.length);
        expect(owned.every((page) => page > 0 && page < pages.count)).toBe(true);
        const stepping = new Set([...attached.keys()].filter((each) => (active >> each) % 2 === 1));
        if (stepping.size === 0) continue;
        const bound = pages.bind(stepping);
        const chunkPages = bound.chunkRanks / PAGE_RANKS;
        expect(bound.pages).toHaveLength(bound.chunkCount * chunkPages);
        for (const each of stepping) {
          const { chunk, from, to } = bound.places.get(each)!;
          const first = chunk * chunkPages + from / PAGE_RANKS;
          expect(bound.pages.slice(first, first + (to - from) / PAGE_RANKS)).toEqual(pages.of(each));
        }
        // Everything else is blank.
        expect(bound.pages.filter((page) => page > 0)).toHaveLength([...stepping].reduce((sum, each) => sum + pages.of(each).length, 0));
      }
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test("small deltas share the chunks that a large one makes necessary", () => {
  const pages = new DeltaPages(10, 100);
  const slots = [64, 8, 8, 8, 8, 8, 8, 8, 8].map((rank) => pages.take(rank)!);
  expect(pages.bind(new Set(slots))).toMatchObject({ chunkRanks: 64, chunkCount: 2 });
  expect(pages.bind(new Set(slots.slice(1)))).toMatchObject({ chunkRanks: 8, chunkCount: 8 });
});

test("slots and pages have an end", () => {
  const pages = new DeltaPages(2, 4);
  expect(pages.take(40)).toBeUndefined();
  const first = pages.take(24)!;
  expect(pages.take(16)).toBeUndefined();
  expect(pages.take(8)).toBeDefined();
  pages.giveBack(first);
  expect(pages.take(8)).toBeDefined();
  expect(pages.take(8)).toBeUndefined();
});
