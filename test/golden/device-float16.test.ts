import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { type BaseInfo, buildDeviceGraph, DEVICE_VALUES, type DevicePhase, DeviceWeights, openCheckpoint, presentNames } from "#model";
import { readGoldenCase } from "./golden-case.ts";
import { distance } from "./golden-runner.ts";

/**
 * The graphs of a device in float16, against the reference in float32. The software device of our tests has no float16, so they run on
 * the processor, which computes some of their nodes in float32 between roundings: this tests the graphs, not a device's kernels.
 */
const TOLERANCE = 2e-3;
const GREEDY_TOKENS = 32;
const CAPACITY = 64;

describe.each(["llama-rope-llama3", "llama-sharded", "qwen2", "qwen3", "gpt2-hub", "gpt2"])("%s in float16", async (name) => {
  const golden = await readGoldenCase(name);
  const checkpoint = await openCheckpoint(golden.baseDirectory);
  const { info } = checkpoint;
  const weights = new DeviceWeights(checkpoint, "float16");
  const sessions = new Map<DevicePhase, InferenceSession>();
  for (const phase of ["chunk", "decode"] as const) {
    sessions.set(phase, await InferenceSession.create(buildDeviceGraph(checkpoint, weights, { phase, deltas: undefined, top: false })));
  }
  const constants = new Map<string, Tensor>();
  for (const { constants: parts, read } of weights.all) {
    for (const [index, values] of (await read()).entries()) constants.set(parts[index]!.name, half(values, parts[index]!.shape));
  }

  const run = async (phase: DevicePhase, feeds: Record<string, Tensor>) => {
    const session = sessions.get(phase)!;
    const known = session.inputNames.flatMap((name) => (constants.has(name) ? [[name, constants.get(name)!] as const] : []));
    return (await session.run({ ...Object.fromEntries(known), ...feeds })) as Record<string, Tensor>;
  };

  test("a prompt's logits and 32 greedy tokens are the reference's", async () => {
    const prompt = golden.variants[0]!.prompts[0]!;
    const count = prompt.tokens.length;
    const first = await run("chunk", {
      ...tokenFeeds(prompt.tokens, 0, prompt.tokens.keys()),
      [DEVICE_VALUES.slot]: integers([0]),
      [DEVICE_VALUES.cacheRows]: new Tensor("int32", Int32Array.from(cacheRows(info, count)), [info.kvHeadCount * count, 1]),
      ...emptyCache(info),
    });
    const logits = first[DEVICE_VALUES.logits]!.data as Float32Array;
    const scale = Math.max(...prompt.promptLogits.map(Math.abs));
    expect(distance(logits, prompt.promptLogits) / scale).toBeLessThan(TOLERANCE);

    const greedy = [largest(logits.slice(-info.vocabularySize))];
    for (let outputs = first; greedy.length < GREEDY_TOKENS; ) {
      outputs = await run("decode", {
        ...tokenFeeds([greedy.at(-1)!], count + greedy.length - 1, [0]),
        [DEVICE_VALUES.slotTokens]: integers([0]),
        [DEVICE_VALUES.tokenSlots]: integers([0]),
        ...fedBack(info, outputs),
      });
      greedy.push(largest(outputs[DEVICE_VALUES.logits]!.data as Float32Array));
    }
    expect(greedy).toEqual(prompt.greedy.slice(0, GREEDY_TOKENS));
  });
});

function tokenFeeds(tokens: readonly number[], past: number, wanted: Iterable<number>): Record<string, Tensor> {
  const last = past + tokens.length - 1;
  const positions = tokens.map((_, offset) => past + offset);
  return {
    [DEVICE_VALUES.tokens]: integers(tokens),
    [DEVICE_VALUES.positions]: integers(positions),
    [DEVICE_VALUES.turns]: integers(positions, [positions.length, 1]),
    [DEVICE_VALUES.wanted]: integers([...wanted]),
    [DEVICE_VALUES.lastPlaces]: new Tensor("int32", Int32Array.of(last), [1]),
    [DEVICE_VALUES.longest]: new Tensor("int32", Int32Array.of(last + 1), []),
  };
}

/** Of the first `count` tokens in the only slot. */
function cacheRows({ kvHeadCount }: BaseInfo, count: number): readonly number[] {
  return Array.from({ length: kvHeadCount * count }, (_, index) => Math.floor(index / count) * CAPACITY + (index % count));
}

function emptyCache({ layerCount, kvHeadCount, headSize }: BaseInfo): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  const zeros = new Float32Array(kvHeadCount * CAPACITY * headSize);
  for (let layer = 0; layer < layerCount; layer++) {
    for (const { past, flat } of Object.values(presentNames(layer))) {
      feeds[past] = half(zeros, [1, kvHeadCount, CAPACITY, headSize]);
      feeds[flat] = half(zeros, [kvHeadCount * CAPACITY, headSize]);
    }
  }
  return feeds;
}

/** On the processor nothing is shared: what a step gave is what the next one takes. */
function fedBack({ layerCount, kvHeadCount, headSize }: BaseInfo, outputs: Record<string, Tensor>): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (let layer = 0; layer < layerCount; layer++) {
    for (const { past, present } of Object.values(presentNames(layer))) {
      const { buffer, byteOffset, length } = outputs[present]!.data as unknown as Float16Array;
      feeds[past] = bits(new Uint16Array(buffer, byteOffset, length), [1, kvHeadCount, CAPACITY, headSize]);
    }
  }
  return feeds;
}

function half(values: ArrayLike<number>, shape: readonly number[]): Tensor {
  return bits(new Uint16Array(Float16Array.from(values).buffer), shape);
}

/** A tensor makes a Float16Array of whatever it is given, of which the binding sees no bytes: so it gets what a tensor shows, and no tensor. */
function bits(data: Uint16Array, dims: readonly number[]): Tensor {
  return { type: "float16", location: "cpu", data, dims } as unknown as Tensor;
}

function integers(values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  return new Tensor("int64", BigInt64Array.from(values, BigInt), shape);
}

function largest(logits: Float32Array): number {
  return logits.indexOf(Math.max(...logits));
}
