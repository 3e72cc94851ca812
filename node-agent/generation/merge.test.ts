import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { merge } from "./merge.ts";

async function* numbered(source: number, count: number): AsyncGenerator<readonly [number, number]> {
  for (let index = 0; index < count; index++) {
    for (let turns = (source * 7 + index * 3) % 5; turns > 0; turns--) await Promise.resolve();
    yield [source, index];
  }
}

describe("merging sequences", () => {
  it("loses nothing and keeps each source in order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 20 }), { maxLength: 16 }), async (counts) => {
        const merged = await Array.fromAsync(
          merge(
            counts.map((count, source) => numbered(source, count)),
            () => undefined,
          ),
        );
        for (const [source, count] of counts.entries())
          expect(merged.filter(([from]) => from === source).map(([, index]) => index)).toEqual([...Array(count).keys()]);
        expect(merged).toHaveLength(counts.reduce((sum, count) => sum + count, 0));
      }),
    );
  });

  it("ends all sources when one fails or the reader stops", async () => {
    for (const failing of [true, false]) {
      const ended: number[] = [];
      const source = async function* (number: number) {
        try {
          for (let index = 0; ; index++) {
            if (failing && number === 1 && index === 3) throw new Error("broken");
            yield index;
          }
        } finally {
          ended.push(number);
        }
      };
      const read = async () => {
        let taken = 0;
        for await (const _ of merge([source(0), source(1), source(2)], () => undefined)) if (++taken === 20) break;
      };
      await (failing ? expect(read()).rejects.toThrow("broken") : read());
      expect(ended.sort()).toEqual([0, 1, 2]);
    }
  });
});
