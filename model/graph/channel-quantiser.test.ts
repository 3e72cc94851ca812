import fc from "fast-check";
import { test } from "vitest";
import { quantiseChannels } from "./channel-quantiser.ts";

/** Where scales would be too small for their precision, weights become zero. */
const TINY = 1e-35;

test("every weight comes back within half a step of its output's scale, from either order", () => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 8 }));
  const cases = sizes.chain(([inputSize, outputSize]) =>
    fc.record({
      inputSize: fc.constant(inputSize),
      outputSize: fc.constant(outputSize),
      order: fc.constantFrom<"out_in" | "in_out">("out_in", "in_out"),
      values: fc.float32Array({ minLength: inputSize * outputSize, maxLength: inputSize * outputSize, min: -8, max: 8, noNaN: true }),
    }),
  );
  fc.assert(
    fc.property(cases, (matrix) => {
      const { inputSize, outputSize, order, values } = matrix;
      const { steps, scales } = quantiseChannels(matrix);
      for (let output = 0; output < outputSize; output++) {
        const own = Array.from({ length: inputSize }, (_, input) =>
          order === "out_in" ? values[output * inputSize + input]! : values[input * outputSize + output]!,
        );
        const halfStep = Math.max(...own.map(Math.abs)) / 127 / 2;
        for (const [input, value] of own.entries()) {
          const back = steps[input * outputSize + output]! * scales[output]!;
          if (Math.abs(back - value) > halfStep * (1 + 1e-5) + TINY) return false;
        }
      }
      return true;
    }),
  );
});
