import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Tokens } from "#kernel";
import { type BaseInfo, type DeviceFloat, GraphBuilder, MICROSOFT, NUMBER_TYPES, type Value } from "#model";
import type { DeviceMemory } from "./device-memory.ts";

/** From so many tokens on, the runtime's attention takes a kernel that counts on wide subgroups. */
const LONG_TOKENS: Tokens = 32;
/** Far above rounding, far below what the wrong kernel gives. */
const TOLERANCE = 1e-3;

/**
 * How many tokens of a row a step may give to the runtime's attention at once. Its kernel for long chunks computes wrongly, without an
 * error, on devices whose subgroups are narrow (a software device has 4 lanes); so a long chunk is compared with the same in
 * two short ones.
 */
export async function probeChunkTokens(base: BaseInfo, memory: DeviceMemory): Promise<Tokens> {
  const session = await InferenceSession.create(buildProbe(base, memory.type), { executionProviders: ["webgpu"] });
  try {
    const whole = await attend(session, base, memory, [LONG_TOKENS]);
    const parts = await attend(session, base, memory, [LONG_TOKENS / 2, LONG_TOKENS / 2]);
    const worst = whole.reduce((most, value, index) => Math.max(most, Math.abs(value - parts[index]!)), 0);
    return worst < TOLERANCE ? Number.POSITIVE_INFINITY : LONG_TOKENS - 1;
  } finally {
    await session.release();
  }
}

/** Attention over a text in chunks: [LONG_TOKENS, kvHeads · headSize], with as many query heads as key heads. */
async function attend(session: InferenceSession, base: BaseInfo, memory: DeviceMemory, chunks: readonly Tokens[]): Promise<Float32Array> {
  const { kvHeadCount, headSize } = base;
  const width = kvHeadCount * headSize;
  const key = await memory.zeros([1, kvHeadCount, LONG_TOKENS, headSize]);
  const value = await memory.zeros([1, kvHeadCount, LONG_TOKENS, headSize]);
  const output = new Float32Array(LONG_TOKENS * width);
  let past = 0;
  for (const span of chunks) {
    const first = past * width;
    const heads = new Tensor(
      "float32",
      Float32Array.from({ length: span * width }, (_, index) => Math.sin(first + index)),
      [1, span, width],
    );
    const feeds = {
      ...{ query: heads, key: heads, value: heads, past_key: key, past_value: value },
      last: new Tensor("int32", Int32Array.of(past + span - 1), [1]),
      total: new Tensor("int32", Int32Array.of(past + span), []),
    };
    const outputs = await memory.run(session, feeds, { output: null, present_key: key, present_value: value });
    output.set(outputs["output"]!.data as Float32Array, first);
    past += span;
  }
  key.dispose();
  value.dispose();
  return output;
}

function buildProbe({ kvHeadCount, headSize }: BaseInfo, type: DeviceFloat): Uint8Array {
  const graph = new GraphBuilder();
  const width = kvHeadCount * headSize;
  const cast = (value: Value, to: DeviceFloat) => graph.op("Cast", [value], { to: NUMBER_TYPES[to] });
  const heads = ["query", "key", "value"].map((name) => cast(graph.input(name, "float32", [1, "span", width]), type));
  const past = ["past_key", "past_value"].map((name) => graph.input(name, type, [1, kvHeadCount, "capacity", headSize]));
  const inputs = [...heads, ...past, graph.input("last", "int32", [1]), graph.input("total", "int32", [])];
  const attributes = { num_heads: BigInt(kvHeadCount), kv_num_heads: BigInt(kvHeadCount) };
  const [output, key, value] = graph.ops("GroupQueryAttention", inputs, 3, attributes, MICROSOFT);
  graph.output("output", cast(output!, "float32"), "float32", [1, "span", width]);
  graph.output("present_key", key!, type, [1, kvHeadCount, "capacity", headSize]);
  graph.output("present_value", value!, type, [1, kvHeadCount, "capacity", headSize]);
  return graph.finish();
}
