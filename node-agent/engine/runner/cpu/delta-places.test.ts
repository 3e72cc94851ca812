import { describe, expect, test } from "vitest";
import { evenOrder, placeTokens } from "./delta-places.ts";

/** Two chunks of 16 ranks: slots 0 and 1 fill one each, 2 and 3 share the second one when 1 is not bound. */
const FULL = {
  chunkCount: 2,
  chunkRanks: 16,
  places: new Map([
    [0, { chunk: 0, from: 0, to: 16 }],
    [1, { chunk: 1, from: 0, to: 16 }],
  ]),
};
const SHARED = {
  chunkCount: 2,
  chunkRanks: 16,
  places: new Map([
    [0, { chunk: 0, from: 0, to: 16 }],
    [2, { chunk: 1, from: 0, to: 8 }],
    [3, { chunk: 1, from: 8, to: 16 }],
  ]),
};

describe("an even order", () => {
  test("is chunk by chunk, and within a chunk as it was", () => {
    expect(evenOrder([0, 1], FULL)).toEqual([0, 1]);
    expect(evenOrder([1, 0], FULL)).toEqual([1, 0]);
    expect(evenOrder([1, 0, 0, 1], FULL)).toEqual([1, 2, 0, 3]);
  });

  test("does not exist where a row has no delta, chunks have unequal shares or none, or a delta only part of one", () => {
    expect(evenOrder([0, 1, undefined, undefined], FULL)).toBeUndefined();
    expect(evenOrder([0, 1, 0], FULL)).toBeUndefined();
    expect(evenOrder([0, 0], FULL)).toBeUndefined();
    expect(evenOrder([0, 2], SHARED)).toBeUndefined();
  });

  test("is the one in which sorting leaves every token where it is", () => {
    const slots = [1, 0, 0, 1];
    const ordered = evenOrder(slots, FULL)!.map((row) => slots[row]!);
    const { places, origins, select } = placeTokens(ordered, 3, FULL);
    const inOrder = BigInt64Array.from({ length: 12 }, (_, token) => BigInt(token));
    expect(places).toEqual(inOrder);
    expect(origins).toEqual(inOrder);
    expect(select.every((selected) => selected === 1)).toBe(true);
  });
});
