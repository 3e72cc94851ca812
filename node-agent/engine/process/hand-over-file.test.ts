import { fstat } from "node:fs";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MIB, seededRandom } from "#kernel";
import type { LoadedDelta } from "#model";
import { toyDelta } from "../testing/toy-runner.ts";
import { type HandOver, HandOverReader, openHandOverFile } from "./hand-over-file.ts";

const SEED = 20_261_123; // fast-check prints it, with the path, when a property fails.

/** A delta of random bits, NaN and the infinities included, its layers' lengths as given; all in one buffer or each array in its own. */
function randomDelta(seed: number, lengths: readonly number[], shared: boolean): LoadedDelta {
  const random = seededRandom(seed);
  const buffer = new Float32Array(2 * lengths.reduce((sum, length) => sum + length, 0));
  let used = 0;
  const array = (length: number) => {
    used += length;
    const values = shared ? buffer.subarray(used - length, used) : new Float32Array(length);
    const bits = new Uint32Array(values.buffer, values.byteOffset, length);
    for (let index = 0; index < length; index++) bits[index] = random.below(2 ** 32);
    return values;
  };
  const layers = lengths.map((length, index) => ({ site: `layers.${index}.q`, rank: 1 + index, a: array(length), b: array(length) }));
  return { ...toyDelta(0), rank: lengths.length, sizeBytes: buffer.byteLength, layers };
}

function bitsOf({ layers }: LoadedDelta): readonly (readonly number[])[] {
  return layers.flatMap(({ a, b }) => [a, b].map((array) => [...new Uint32Array(array.buffer, array.byteOffset, array.length)]));
}

test("whatever lies in the file at the same time, and in whatever order it leaves, is taken as it was put, to the bit", async () => {
  const put = fc.record({
    lengths: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 }),
    shared: fc.boolean(),
    leaves: fc.nat(5),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(put, { minLength: 1, maxLength: 20 }), fc.nat(), async (puts, seed) => {
      await using file = await openHandOverFile();
      const reader = new HandOverReader(file.descriptor);
      const inFile: { readonly handOver: HandOver; readonly delta: LoadedDelta }[] = [];
      const leave = async (which: number) => {
        const [{ handOver, delta }] = inFile.splice(which % inFile.length, 1) as [(typeof inFile)[number]];
        using taken = await reader.take(handOver.delta);
        expect(bitsOf(taken.delta)).toEqual(bitsOf(delta));
        expect({ ...taken.delta, layers: taken.delta.layers.map(({ site, rank }) => ({ site, rank })) }).toEqual({
          ...delta,
          layers: delta.layers.map(({ site, rank }) => ({ site, rank })),
        });
        handOver[Symbol.dispose]();
      };
      for (const [index, { lengths, shared, leaves }] of puts.entries()) {
        const delta = randomDelta(seed + index, lengths, shared);
        inFile.push({ handOver: await file.put(delta), delta });
        if (leaves > 2) await leave(leaves);
      }
      while (inFile.length > 0) await leave(0);
    }),
    { seed: SEED, numRuns: 50 },
  );
});

test("two that are taken at once do not share memory, and what was taken is its own until it is disposed of", async () => {
  await using file = await openHandOverFile();
  const reader = new HandOverReader(file.descriptor);
  const deltas = [1, 2].map((seed) => randomDelta(seed, [100, 50], false));
  for (let round = 0; round < 3; round++) {
    const handOvers = await Promise.all(deltas.map((delta) => file.put(delta)));
    const taken = await Promise.all(handOvers.map(({ delta }) => reader.take(delta)));
    for (const handOver of handOvers) handOver[Symbol.dispose]();
    expect(taken.map(({ delta }) => bitsOf(delta))).toEqual(deltas.map(bitsOf));
    for (const each of taken) each[Symbol.dispose]();
  }
});

test("the room of a large delta is given back once nothing lies there, and the next one is put again", async () => {
  await using file = await openHandOverFile();
  const reader = new HandOverReader(file.descriptor);
  const large = randomDelta(1, [4], false);
  const half = new Float32Array((33 * MIB) / 4).fill(7);
  const handOver = await file.put({ ...large, layers: [{ site: "layers.0.q", rank: 1, a: half, b: half }] });
  expect((await promisify(fstat)(file.descriptor)).size).toBe(66 * MIB);
  handOver[Symbol.dispose]();
  using next = await file.put(large);
  expect((await promisify(fstat)(file.descriptor)).size).toBe(large.sizeBytes);
  using taken = await reader.take(next.delta);
  expect(bitsOf(taken.delta)).toEqual(bitsOf(large));
});
