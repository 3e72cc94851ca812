import type { Random } from "#kernel";
import type { Parameter } from "#model";

/** A new delta, as PEFT begins one: A uniform within ±1/√inputSize (Kaiming with a = √5), B zero, so that at first nothing changes. */
export function initialDelta(parameters: readonly Parameter[], random: Random): ReadonlyMap<string, Float32Array<ArrayBuffer>> {
  return new Map(
    parameters.map(({ name, shape }) => {
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      if (name.endsWith(".lora_A")) {
        const draws = random.fork(name);
        const bound = 1 / Math.sqrt(shape[1]!);
        for (let index = 0; index < values.length; index++) values[index] = (2 * draws.float() - 1) * bound;
      }
      return [name, values] as const;
    }),
  );
}
