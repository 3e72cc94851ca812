import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, describe, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import type { TensorLocation } from "../checkpoint/contract.ts";
import { BASE_HEADER_LIMITS, readSafetensorsHeader, writeSafetensors } from "../safetensors/index.ts";
import { quantiseBlocks } from "./block-quantiser.ts";
import { quantiseChannels } from "./channel-quantiser.ts";
import { DELTA_INPUTS } from "./delta-branch.ts";
import { GraphBuilder } from "./graph-builder.ts";
import { type LinearFormat, LinearLayers } from "./linear.ts";
import { WeightPlan } from "./weight-plan.ts";

const directory = await mkdtemp(path.join(tmpdir(), "linear-"));
afterAll(() => rm(directory, { recursive: true }));

/** Not a multiple of any block. */
const INPUTS = 84;
const OUTPUTS = [40, 24] as const;
const OUTPUT_SIZE = 64;

const random = seededRandom(3);
const values = (count: number) => Float32Array.from({ length: count }, () => random.float() - 0.5);
const weights = OUTPUTS.map((outputs) => values(outputs * INPUTS));
const [bias, change] = [values(OUTPUT_SIZE), values(OUTPUT_SIZE)];
const matrix = {
  values: Float32Array.from(weights.flatMap((part) => [...part])),
  inputSize: INPUTS,
  outputSize: OUTPUT_SIZE,
  order: "out_in",
} as const;

/** Two stacked layers with a bias, and with a change that is the same for every token. */
async function openLinear(format: LinearFormat) {
  const file = path.join(directory, `${JSON.stringify(format)}.safetensors`);
  const names = ["one", "other"];
  await writeSafetensors(
    file,
    names.map((name, index) => ({ name, type: "F32", shape: [OUTPUTS[index]!, INPUTS], data: weights[index]! })),
  );
  const { tensors } = await readSafetensorsHeader(file, BASE_HEADER_LIMITS);
  const located = new Map([...tensors].map(([name, tensor]) => [name, { ...tensor, file } as TensorLocation]));
  const graph = new GraphBuilder();
  const plan = new WeightPlan({ tensors: located }, graph);
  const tokens = graph.input("tokens", "int64", ["tokens"]);
  const x = graph.input("x", "float32", ["tokens", INPUTS]);
  graph.input(DELTA_INPUTS.active, "bool", []);
  const { values: _, ...shape } = matrix;
  const added = plan.computed("change", [OUTPUT_SIZE], change!);
  const y = new LinearLayers(graph, plan, format).apply({
    ...shape,
    names,
    x,
    tokens,
    bias: plan.computed("bias", [OUTPUT_SIZE], bias!),
    change: (branch) => branch.op("Add", [branch.op("Mul", [branch.float(0), branch.op("ReduceSum", [x], { keepdims: 0n })]), added]),
  });
  graph.output("y", y, "float32", ["tokens", OUTPUT_SIZE]);
  return InferenceSession.create(graph.finish(), { externalData: await plan.read(), intraOpNumThreads: 1 });
}

async function run(session: InferenceSession, rows: readonly Float32Array[], active = false): Promise<Float32Array[]> {
  const { y } = await session.run({
    tokens: new Tensor("int64", new BigInt64Array(rows.length), [rows.length]),
    x: new Tensor("float32", Float32Array.from(rows.flatMap((row) => [...row])), [rows.length, INPUTS]),
    [DELTA_INPUTS.active]: new Tensor("bool", Uint8Array.of(active ? 1 : 0), []),
  });
  return rows.map((_, row) => (y!.data as Float32Array).slice(row * OUTPUT_SIZE, (row + 1) * OUTPUT_SIZE));
}

/** To the nearest of so many steps on both sides of zero. */
function rounded(row: readonly number[], steps: number): number[] {
  const scale = Math.fround(Math.max(...row.map(Math.abs)) / steps);
  return row.map((value) => Math.round(value / scale) * scale);
}

/** The weights as they come back, [output][input]. */
function weightsBack(format: LinearFormat): number[][] {
  const at = (output: number, input: number): number => {
    if (format.kind === "channels") return channels.steps[input * OUTPUT_SIZE + output]! * channels.scales[output]!;
    if (format.kind !== "blocks") return matrix.values[output * INPUTS + input]!;
    const place = output * Math.ceil(INPUTS / format.blockSize) * format.blockSize + input;
    const step = format.bits === 8 ? blocks!.packed[place]! : (blocks!.packed[place >> 1]! >> (4 * (place % 2))) & 0xf;
    return (step - 2 ** (format.bits - 1)) * blocks!.scales[Math.floor(place / format.blockSize)]!;
  };
  const channels = quantiseChannels(matrix);
  const blocks = format.kind === "blocks" ? quantiseBlocks(matrix, format) : undefined;
  return Array.from({ length: OUTPUT_SIZE }, (_, output) => Array.from({ length: INPUTS }, (_, input) => at(output, input)));
}

/** What the activations become: one scale per token, or one per block of it. */
function activationsBack(format: LinearFormat, row: Float32Array): number[] {
  if (format.kind === "float32" || format.kind === "points") return [...row];
  const size = format.kind === "blocks" ? format.blockSize : INPUTS;
  return Array.from({ length: Math.ceil(INPUTS / size) }, (_, block) =>
    rounded([...row.subarray(block * size, (block + 1) * size)], 127),
  ).flat();
}

const FORMATS: readonly LinearFormat[] = [
  { kind: "float32" },
  { kind: "points" },
  { kind: "channels" },
  { kind: "blocks", bits: 8, blockSize: 32 },
  { kind: "blocks", bits: 8, blockSize: 128 },
  { kind: "blocks", bits: 4, blockSize: 32 },
];

describe.each(FORMATS.map((format) => [JSON.stringify(format), format] as const))("linear layers as %s", async (_, format) => {
  const rows = Array.from({ length: 19 }, (_, row) => values(INPUTS).map((value) => value * 2 ** (row % 5)));

  test("are the plain product of what weights and activations become, with bias and, where there is one, change", async () => {
    const session = await openLinear(format);
    const back = weightsBack(format);
    for (const active of [false, true]) {
      const results = await run(session, rows, active);
      for (const [index, row] of rows.entries()) {
        const x = activationsBack(format, row);
        const scale = Math.max(...x.map(Math.abs));
        for (const [output, inputs] of back.entries()) {
          const product = inputs.reduce((sum, weight, input) => sum + weight * x[input]!, 0);
          const expected = product + bias![output]! + (active ? change![output]! : 0);
          expect(Math.abs(results[index]![output]! - expected) / scale).toBeLessThan(2e-5);
        }
      }
    }
    await session.release();
  });

  test("give a token the same whatever else is in its batch", async () => {
    const session = await openLinear(format);
    const together = await run(session, rows);
    for (const [index, row] of rows.entries()) {
      const [alone] = await run(session, [row]);
      for (const [output, value] of alone!.entries()) {
        if (format.kind === "channels" || format.kind === "points") expect(together[index]![output]).toBe(value);
        else expect(together[index]![output]).toBeCloseTo(value, 4);
      }
    }
    await session.release();
  });
});
