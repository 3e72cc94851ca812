import { expect, test } from "vitest";
import { createRopeTable, ropeFrequencies } from "./rope-table.ts";

const none = { kind: "none" } as const;

test("position p turns pair i by p · theta^(-2i/headSize)", () => {
  const { cosines, sines } = createRopeTable({ theta: 10000, scaling: none }, 8, 100);
  for (const position of [0, 1, 57, 99]) {
    for (let pair = 0; pair < 4; pair++) {
      const angle = position * 10000 ** (-pair / 4);
      expect(cosines[position * 4 + pair]).toBeCloseTo(Math.cos(angle), 5);
      expect(sines[position * 4 + pair]).toBeCloseTo(Math.sin(angle), 5);
    }
  }
});

test("linear scaling stretches all waves alike", () => {
  const plain = ropeFrequencies(10000, none, 64);
  const stretched = ropeFrequencies(10000, { kind: "linear", factor: 4 }, 64);
  for (const [pair, frequency] of plain.entries()) expect(stretched[pair]).toBeCloseTo(frequency / 4, 7);
});

test("llama3 scaling keeps short waves, stretches long ones, and rises steadily between", () => {
  const plain = ropeFrequencies(500000, none, 128);
  const scaling = { kind: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextTokensMax: 8192 } as const;
  const factors = [...ropeFrequencies(500000, scaling, 128)].map((frequency, pair) => plain[pair]! / frequency);
  for (const [pair, factor] of factors.entries()) {
    const wavelength = (2 * Math.PI) / plain[pair]!;
    if (wavelength < 8192 / 4) expect(factor).toBeCloseTo(1, 5);
    if (wavelength > 8192) expect(factor).toBeCloseTo(8, 5);
    expect(factor).toBeGreaterThanOrEqual((factors[pair - 1] ?? 1) - 1e-6);
  }
  expect(factors.some((factor) => factor > 1.1 && factor < 7.9)).toBe(true);
});
