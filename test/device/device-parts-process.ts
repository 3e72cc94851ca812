// Parts of the device runner on whatever device there is. Prints what they gave as JSON; device-parts.test.ts knows what is right.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { type BaseInfo, DEVICE_DELTA_PART, type Dimension, GraphBuilder, outputTopLogits, TOP_VALUES } from "#model";
// Inside the door: parts of the runner, which loads the runtime into this process.
import { PagedDeltas } from "../../node-agent/engine/runner/device/device-deltas.ts";
import { DeviceLogits } from "../../node-agent/engine/runner/device/device-logits.ts";
import { DeviceMemory } from "../../node-agent/engine/runner/device/device-memory.ts";
import {
  createDeltas,
  createLogits,
  createTokens,
  type DeltaAnswers,
  LIMITS,
  PARTS_BASE,
  TOP_ROWS,
  type TopAnswer,
  VOCABULARIES,
} from "./device-parts.ts";

const ON_DEVICE = { executionProviders: ["webgpu"] } as const;
/** Nothing may be computed on the processor, whose results would go over the bus. */
const ONLY_THERE = { ...ON_DEVICE, extra: { session: { disable_cpu_ep_fallback: "1" } } };

async function topAnswers(): Promise<TopAnswer[]> {
  const answers: TopAnswer[] = [];
  for (const vocabularySize of VOCABULARIES) {
    const graph = new GraphBuilder();
    outputTopLogits(graph, graph.input("logits", "float32", ["wanted", vocabularySize]), vocabularySize);
    const session = await InferenceSession.create(graph.finish(), ONLY_THERE);
    const logits = createLogits(vocabularySize);
    const outputs = await session.run({ logits: new Tensor("float32", logits, [logits.length / vocabularySize, vocabularySize]) });
    const [ids, values, sums] = [TOP_VALUES.ids, TOP_VALUES.logits, TOP_VALUES.sums].map((name) =>
      Array.from(outputs[name]!.data as Float32Array),
    );
    answers.push({ vocabularySize, ids: ids!, logits: values!, sums: sums! });
    await session.release();
  }
  return answers;
}

/** The same tokens asked for their largest and for all logits, from what stayed on the device. */
async function keptAnswers(
  memory: DeviceMemory,
): Promise<{ readonly top: number[]; readonly dense: number[]; readonly last: number[]; readonly broken: string }> {
  const vocabularySize = 1000;
  await using kept = new DeviceLogits(memory, vocabularySize);
  const graph = new GraphBuilder();
  const logits = graph.op("Identity", [graph.input("given", "float32", ["wanted", vocabularySize])]);
  graph.output("logits", logits, "float32", ["wanted", vocabularySize]);
  outputTopLogits(graph, logits, vocabularySize);
  const session = await InferenceSession.create(graph.finish(), ON_DEVICE);
  const rows = (["top", "none", "last", "top"] as const).map((logits, row) => ({ row, tokens: [1], slot: undefined, logits }));
  kept.begin();
  const fetches = await kept.fetches(rows);
  const numbers = createLogits(vocabularySize);
  numbers[2 * vocabularySize + 77] = Number.NaN;
  const given = new Tensor("float32", numbers, [TOP_ROWS, vocabularySize]);
  const [top, , last, broken] = await kept.read(rows, await memory.run(session, { given }, fetches));
  if (!top || top instanceof Float32Array || !(last instanceof Float32Array) || !broken || broken instanceof Float32Array)
    throw new Error("each row gets what it asked for");
  const answers = {
    top: Array.from(top.ids),
    dense: Array.from(await top.dense()),
    last: Array.from(last),
    broken: String(broken.logSumExp),
  };
  await session.release();
  return answers;
}

async function productSession(base: BaseInfo): Promise<InferenceSession> {
  const graph = new GraphBuilder();
  DEVICE_DELTA_PART.declare(graph, base.linears, "float32");
  for (const site of base.linears) {
    const shape: readonly Dimension[] = ["tokens", site.inputSize];
    const change = DEVICE_DELTA_PART.change(graph, graph.input(`x.${site.site}`, "float32", shape), [site], "float32");
    graph.output(`change.${site.site}`, change, "float32", ["tokens", site.outputSize]);
  }
  return await InferenceSession.create(graph.finish(), ON_DEVICE);
}

async function deltaAnswers(memory: DeviceMemory): Promise<DeltaAnswers> {
  await using deltas = await PagedDeltas.open(PARTS_BASE, LIMITS, memory, 1);
  const session = await productSession(PARTS_BASE);
  const [small, wide, partial, other] = createDeltas();
  const slots = new Map<string, number>();
  const partCounts: number[] = [];
  const attach = async (name: string, delta: typeof small) => {
    const slot = deltas.attach(delta!);
    if (slot === undefined) return false;
    slots.set(name, slot);
    let parts = 1;
    while (!(await deltas.fill(slot))) parts++;
    partCounts.push(parts);
    return true;
  };
  const upBytes: number[] = [];
  const product = async (names: readonly (string | undefined)[]) => {
    const inputs = Object.fromEntries(
      PARTS_BASE.linears.map(({ site, inputSize }) => [
        `x.${site}`,
        new Tensor("float32", createTokens(site, names.length, inputSize), [names.length, inputSize]),
      ]),
    );
    const before = memory.bus.upBytes;
    const fetches = Object.fromEntries(session.outputNames.map((name) => [name, null]));
    const outputs = await memory.run(
      session,
      { ...inputs, ...deltas.feeds(names.map((name) => (name === undefined ? undefined : slots.get(name)!))) },
      fetches,
    );
    upBytes.push(memory.bus.upBytes - before);
    return Object.fromEntries(PARTS_BASE.linears.map(({ site }) => [site, Array.from(outputs[`change.${site}`]!.data as Float32Array)]));
  };
  await attach("wide", wide);
  const alone = await product(["wide", undefined, "wide"]);
  await attach("small", small);
  await attach("other", other);
  const together = await product(["small", "wide", undefined, "other", "wide", "small"]);
  await product(["wide", undefined, "wide"]);
  const refused = !(await attach("partial", partial));
  deltas.detach(slots.get("wide")!);
  await attach("partial", partial);
  const reused = await product(["partial", "small"]);
  await session.release();
  return { alone, together, reused, refused, partCounts, upBytes: [upBytes[0]!, upBytes[2]!] };
}

const memory = await DeviceMemory.open("float32");
const answers = { top: await topAnswers(), kept: await keptAnswers(memory), deltas: await deltaAnswers(memory) };
await memory[Symbol.asyncDispose]();
console.log(JSON.stringify(answers));
