import { expect, test } from "vitest";
import { asBaseDigest } from "#kernel";
import type { BaseInfo } from "#model";
import { rooflineSeconds, stepWork } from "./roofline.ts";

/** One layer of two linears with 10 × 20 and 20 × 10 weights, and a head of 10 × 100: 1,400 weights. */
const base: BaseInfo = {
  name: "base",
  digest: asBaseDigest("0".repeat(64)),
  architecture: "llama",
  layerCount: 1,
  hiddenSize: 10,
  headCount: 2,
  kvHeadCount: 1,
  headSize: 5,
  vocabularySize: 100,
  contextTokensMax: 64,
  parameterCount: 2400,
  weightType: "float32",
  bosTokenId: undefined,
  eosTokenIds: [],
  linears: [
    { site: "layers.0.up", module: "up", inputSize: 10, outputSize: 20 },
    { site: "layers.0.down", module: "down", inputSize: 20, outputSize: 10 },
  ],
};

test("a step on the plain base multiplies with every weight once per row, and reads every weight once", () => {
  const work = stepWork(base, { rows: 4, contextTokens: 3, deltaParameters: [], deltaRows: 0 });
  expect(work.flops).toBe(4 * (2 * 1400 + 4 * 10 * 3));
  expect(work.bytes).toBe(4 * 1400 + 4 * (2 * 5 * 3 * 4));
});

test("each row computes its own delta only, and each delta is read once", () => {
  const plain = stepWork(base, { rows: 4, contextTokens: 3, deltaParameters: [], deltaRows: 0 });
  const mixed = stepWork(base, { rows: 4, contextTokens: 3, deltaParameters: [60, 120], deltaRows: 4 });
  expect(mixed.flops - plain.flops).toBe(2 * (60 + 60 + 120 + 120));
  expect(mixed.bytes - plain.bytes).toBe(4 * (60 + 120));
});

test("the floor is the slower of computing and reading", () => {
  const rates = { flopsPerSecond: 100, bytesPerSecond: 10 };
  expect(rooflineSeconds({ flops: 100, bytes: 100 }, rates)).toBe(10);
  expect(rooflineSeconds({ flops: 2000, bytes: 100 }, rates)).toBe(20);
});
