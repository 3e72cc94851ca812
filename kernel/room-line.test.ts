import { expect, test } from "vitest";
import { OVERTAKEN_MS_MAX, RoomLine } from "./room-line.ts";

test("nothing is kept for the first in line before it has been overtaken for long; then as much as it needs", () => {
  const line = new RoomLine();
  expect(line.keptSize(0)).toBe(0);
  const [large, small] = [
    { size: 100, sinceMs: 1000 },
    { size: 1, sinceMs: 2000 },
  ];
  for (const wish of [large, small]) line.add(wish);
  expect([...line]).toEqual([large, small]);
  expect(line.keptSize(1000 + OVERTAKEN_MS_MAX - 1)).toBe(0);
  expect(line.keptSize(1000 + OVERTAKEN_MS_MAX)).toBe(100);
  expect(line.isOverdue(small, 1000 + OVERTAKEN_MS_MAX)).toBe(false);
  line.delete(large);
  expect([line.size, line.keptSize(1000 + OVERTAKEN_MS_MAX)]).toEqual([1, 0]);
});

test("a line can let those that fit pass for ever", () => {
  const line = new RoomLine(Number.POSITIVE_INFINITY);
  line.add({ size: 100, sinceMs: 0 });
  expect(line.keptSize(1e12)).toBe(0);
});
