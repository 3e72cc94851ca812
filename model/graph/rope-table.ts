import type { ModelConfig, RopeScaling } from "../checkpoint/contract.ts";

/** Cosines and sines of every position: each [positions, headSize / 2], row-major. */
export interface RopeTable {
  readonly cosines: Float32Array<ArrayBuffer>;
  readonly sines: Float32Array<ArrayBuffer>;
}

/** Angle of position p in dimension pair i is p · frequency[i] (RoFormer, 2104.09864). */
export function createRopeTable(rope: NonNullable<ModelConfig["rope"]>, headSize: number, positions: number): RopeTable {
  const frequencies = ropeFrequencies(rope.theta, rope.scaling, headSize);
  const cosines = new Float32Array(positions * frequencies.length);
  const sines = new Float32Array(positions * frequencies.length);
  for (let position = 0, index = 0; position < positions; position++) {
    for (const frequency of frequencies) {
      // The angle in single precision, as transformers computes it: far positions would differ otherwise.
      const angle = Math.fround(position * frequency);
      cosines[index] = Math.cos(angle);
      sines[index++] = Math.sin(angle);
    }
  }
  return { cosines, sines };
}

/** Inverse frequencies, [headSize / 2]. Source: transformers, modeling_rope_utils.py. */
export function ropeFrequencies(theta: number, scaling: RopeScaling, headSize: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: headSize / 2 }, (_, pair) =>
    scaleFrequency(Math.fround(1 / theta ** ((2 * pair) / headSize)), scaling),
  );
}

function scaleFrequency(frequency: number, scaling: RopeScaling): number {
  switch (scaling.kind) {
    case "none":
      return frequency;
    case "linear":
      return frequency / scaling.factor;
    case "llama3": {
      // Long waves are stretched by the factor, short ones kept, those between blended (Llama 3.1).
      const waves = (scaling.originalContextTokensMax * frequency) / (2 * Math.PI);
      const blend = (waves - scaling.lowFrequencyFactor) / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
      const share = Math.min(1, Math.max(0, blend));
      return (1 - share) * (frequency / scaling.factor) + share * frequency;
    }
  }
}
