import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BlockFormat, blockCount, type QuantisedBlocks, quantiseBlocks } from "./block-quantiser.ts";
import type { Matrix } from "./matrix.ts";

/** The dumb twin: what the runtime makes of the bytes, by its documentation of MatMulNBits. [output][input] */
function dequantise({ packed, scales }: QuantisedBlocks, { outputSize, inputSize }: Matrix, format: BlockFormat): number[][] {
  const { bits, blockSize } = format;
  const blocks = blockCount(inputSize, format);
  return Array.from({ length: outputSize }, (_, output) =>
    Array.from({ length: inputSize }, (_, input) => {
      const block = Math.floor(input / blockSize);
      const place = input % blockSize;
      const blob = (output * blocks + block) * ((blockSize * bits) / 8);
      const byte = packed[bits === 8 ? blob + place : blob + Math.floor(place / 2)]!;
      const step = bits === 8 ? byte : place % 2 === 0 ? byte & 0xf : byte >> 4;
      return (step - 2 ** (bits - 1)) * scales[output * blocks + block]!;
    }),
  );
}

/** Where scales would be too small for their precision, weights become zero. */
const TINY = 1e-35;

const formats = fc.record({ bits: fc.constantFrom<4 | 8>(4, 8), blockSize: fc.constantFrom(16, 32, 64) });
const matrices = fc
  .tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 5 }))
  .chain(([inputSize, outputSize]) =>
    fc
      .float32Array({ minLength: inputSize * outputSize, maxLength: inputSize * outputSize, min: -8, max: 8, noNaN: true })
      .map((values): Matrix => ({ values, inputSize, outputSize, order: "out_in" })),
  );

describe("weights in blocks", () => {
  test("come back within half a step, or within one at the far end", () => {
    fc.assert(
      fc.property(matrices, formats, (matrix, format) => {
        const { inputSize, outputSize, values } = matrix;
        const quantised = quantiseBlocks(matrix, format);
        const back = dequantise(quantised, matrix, format);
        for (let output = 0; output < outputSize; output++) {
          const given = [...values.subarray(output * inputSize, (output + 1) * inputSize)];
          for (let from = 0; from < inputSize; from += format.blockSize) {
            const block = given.slice(from, from + format.blockSize);
            const largest = Math.max(...block.map(Math.abs));
            const step = largest / 2 ** (format.bits - 1);
            for (const [index, value] of block.entries()) {
              const error = Math.abs(back[output]![from + index]! - value);
              const clipped = Math.abs(value) > largest - step / 2;
              if (error > (clipped ? step : step / 2) * (1 + 1e-5) + TINY) return false;
            }
          }
        }
        return true;
      }),
    );
  });

  test("lie the same whether the checkpoint has outputs or inputs first", () => {
    fc.assert(
      fc.property(matrices, formats, (matrix, format) => {
        const { inputSize, outputSize, values } = matrix;
        const turned = Float32Array.from(values, (_, at) => values[(at % outputSize) * inputSize + Math.floor(at / outputSize)]!);
        const [one, other] = [quantiseBlocks({ ...matrix, values: turned, order: "in_out" }, format), quantiseBlocks(matrix, format)];
        return Buffer.from(one.packed).equals(other.packed) && Buffer.from(one.scales.buffer).equals(Buffer.from(other.scales.buffer));
      }),
    );
  });

  test("fill their last block up with zeros, and a block of zeros has scale 0", () => {
    const values = new Float32Array(20);
    values[17] = -4;
    const { packed, scales } = quantiseBlocks({ values, inputSize: 20, outputSize: 1, order: "out_in" }, { bits: 4, blockSize: 16 });
    expect([...scales]).toEqual([0, 0.5]);
    expect([...packed]).toEqual([...new Array(8).fill(0x88), 0x08, ...new Array(7).fill(0x88)]);
  });
});
