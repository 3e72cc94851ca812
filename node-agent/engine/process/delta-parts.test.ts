import { expect, test } from "vitest";
import type { LoadedDelta } from "#model";
import { toyDelta } from "../testing/toy-runner.ts";
import { DeltaAssembly, deltaMessages } from "./delta-parts.ts";
import { DELTA_PART_BYTES } from "./process-messages.ts";

/** A delta of so many layers, each a third of a part, and one larger than a whole part. */
function largeDelta(layerCount: number): LoadedDelta {
  const layer = (index: number, sizeBytes: number) => ({
    site: `layers.${index}.q`,
    rank: 1,
    a: new Float32Array(sizeBytes / 4),
    b: new Float32Array(2),
  });
  const layers = Array.from({ length: layerCount }, (_, index) => layer(index, index === 4 ? 2 * DELTA_PART_BYTES : DELTA_PART_BYTES / 4));
  return { ...toyDelta(0), layers };
}

test("a delta travels in parts, none much larger than the limit, and arrives whole; two may travel at once", () => {
  const deltas = [largeDelta(9), largeDelta(3)] as const;
  const assembly = new DeltaAssembly();
  const arrived = new Map<number, LoadedDelta>();
  const journeys = deltas.map((delta, call) => deltaMessages(call, delta));
  let partCount = 0;
  for (let travelling = true; travelling; ) {
    travelling = false;
    for (const journey of journeys) {
      const { value: message, done } = journey.next();
      if (done) continue;
      travelling = true;
      if (message.kind === "attach") {
        assembly.announce(message);
        continue;
      }
      partCount++;
      const sizes = message.layers.map(({ a, b }) => a.byteLength + b.byteLength);
      if (sizes.length > 1) expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(DELTA_PART_BYTES);
      const whole = assembly.add(message);
      if (whole) arrived.set(message.call, whole);
    }
  }
  expect(partCount).toBe(5 + 1); // Three layers, one more, the large one, three, one more; and the short delta in one.
  expect([arrived.get(0), arrived.get(1)]).toEqual(deltas);
  expect(assembly.arriving).toBe(0);
});
