import { assert, type Random } from "#kernel";
import { type Checkpoint, type Parameter, readTensorFloat32 } from "#model";

/** What each parameter begins with; every one has draws of its own. Faults: those of reading the weights. */
export async function initialValues(
  checkpoint: Checkpoint,
  parameters: readonly Parameter[],
  random: Random,
): Promise<ReadonlyMap<string, Float32Array<ArrayBuffer>>> {
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  for (const parameter of parameters) values.set(parameter.name, await startOf(checkpoint, parameter, random));
  return values;
}

async function startOf(checkpoint: Checkpoint, { name, shape, start }: Parameter, random: Random): Promise<Float32Array<ArrayBuffer>> {
  const count = shape.reduce((product, size) => product * size, 1);
  switch (start.kind) {
    case "zero":
      return new Float32Array(count);
    case "uniform": {
      const draws = random.fork(name);
      return new Float32Array(count).map(() => (2 * draws.float() - 1) * start.bound);
    }
    case "stored": {
      const tensor = checkpoint.tensors.get(name);
      assert(tensor, `an opened checkpoint has ${name}`);
      return readTensorFloat32(tensor);
    }
  }
}
