import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RoomIndex, type RoomLimits } from "./room-index.ts";

const KINDS: readonly RoomLimits[] = [
  { rowsMax: 4, queueDepthMax: 2, rankMax: 8 },
  { rowsMax: 2, queueDepthMax: 0, rankMax: 64 },
];
const anyChange = fc.record({
  node: fc.integer({ min: 0, max: 9 }),
  kind: fc.constantFrom(...KINDS),
  rows: fc.option(fc.integer({ min: 0, max: 9 })),
});

describe("nodes by room, after any changes", () => {
  it("stand in their kind's order of rows, each once, from another one on at every turn", () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 60 }), fc.nat({ max: 20 }), (changes, turn) => {
        const rooms = new RoomIndex();
        const twin = new Map<number, { readonly kind: RoomLimits; readonly rows: number }>();
        for (const { node, kind, rows } of changes) {
          if (rows === null) {
            rooms.delete(node);
            twin.delete(node);
          } else {
            rooms.set(node, kind, rows);
            twin.set(node, { kind, rows: Math.min(rows, kind.rowsMax + kind.queueDepthMax) });
          }
        }
        const found = new Map<number, { readonly kind: RoomLimits; readonly rows: number }>();
        for (const group of rooms.groups) {
          const kind = KINDS.find(({ rankMax }) => rankMax === group.limits.rankMax)!;
          const inOrder: number[] = [];
          group.visit(turn, (node, rows) => {
            expect(found.has(node)).toBe(false);
            found.set(node, { kind, rows });
            inOrder.push(rows);
            return false;
          });
          expect(inOrder).toEqual(inOrder.toSorted((one, other) => one - other));
          expect(group.rowsLeast).toBe(inOrder[0] ?? Number.POSITIVE_INFINITY);
        }
        expect(new Map([...found].sort())).toEqual(new Map([...twin].sort()));
      }),
    );
  });

  it("are no longer looked at once one was the last", () => {
    const rooms = new RoomIndex();
    for (let node = 0; node < 100; node++) rooms.set(node, KINDS[0]!, node === 70 ? 1 : 5);
    const [group] = rooms.groups;
    const seen: number[] = [];
    group!.visit(3, (node, rows) => {
      seen.push(node);
      return rows > 1;
    });
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe(70);
  });
});
