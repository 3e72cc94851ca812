import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Bytes } from "#kernel";
import { type DeviceFloat, GraphBuilder, NUMBER_TYPES } from "#model";
import type { BusTraffic } from "../contract.ts";
import type { Feeds } from "./contract.ts";

/** Sessions whose results stay on the device. Others bring home what they are not told to write into a tensor that lies there. */
const STAYING = { executionProviders: ["webgpu"], preferredOutputLocation: "gpu-buffer" } as const;
const NUMBER_BYTES = { float32: 4, float16: 2, int32: 4, int64: 8, bool: 1, uint8: 1 } as const;

/** Tensors on the device, made by graphs of one node: the binding has no other way. Counts what goes over the bus. */
export class DeviceMemory implements AsyncDisposable {
  readonly type: DeviceFloat;
  #upBytes: Bytes = 0;
  #downBytes: Bytes = 0;
  readonly #zeros: InferenceSession;
  readonly #wideZeros: InferenceSession;
  readonly #convert: InferenceSession;
  readonly #copy: InferenceSession;
  readonly #join: InferenceSession;
  readonly #copyBytes: InferenceSession;

  private constructor(type: DeviceFloat, sessions: readonly InferenceSession[]) {
    this.type = type;
    [this.#zeros, this.#wideZeros, this.#convert, this.#copy, this.#join, this.#copyBytes] = sessions as [
      InferenceSession,
      InferenceSession,
      InferenceSession,
      InferenceSession,
      InferenceSession,
      InferenceSession,
    ];
  }

  /** @throws what the runtime throws where there is no device. */
  static async open(type: DeviceFloat): Promise<DeviceMemory> {
    const sessions: InferenceSession[] = [];
    const zeros = [buildZeros(type), buildZeros("float32")];
    for (const model of [...zeros, buildConvert(type), buildCopy(type), buildJoin(type), buildCopy("uint8")]) {
      sessions.push(await InferenceSession.create(model, STAYING));
    }
    return new DeviceMemory(type, sessions);
  }

  get bus(): BusTraffic {
    return { upBytes: this.#upBytes, downBytes: this.#downBytes };
  }

  /** Of this memory's type unless it says another. */
  async zeros(shape: readonly number[], type: DeviceFloat = this.type): Promise<Tensor> {
    const session = type === this.type ? this.#zeros : this.#wideZeros;
    return await this.#make(session, { shape: integers(shape, [shape.length]) });
  }

  /** On the device: bytes as they are, float32 as values of this memory's type. */
  async upload(values: Float32Array | Uint8Array, shape: readonly number[]): Promise<Tensor> {
    if (values instanceof Uint8Array) return await this.#make(this.#copyBytes, { kept: new Tensor("uint8", values, shape) });
    return await this.#make(this.#convert, { values: new Tensor("float32", values, shape) });
  }

  /** The first `count` of a tensor's first dimension, and zeros up to `total`, in memory of their own. The tensor given is disposed. */
  async resize(tensor: Tensor, count: number, total: number): Promise<Tensor> {
    const kept = viewOf(tensor, [Math.min(count, total), ...tensor.dims.slice(1)]);
    const more = total - kept.dims[0]!;
    const extra = more > 0 ? await this.zeros([more, ...tensor.dims.slice(1)]) : undefined;
    const resized = extra ? await this.#make(this.#join, { kept, extra }) : await this.#make(this.#copy, { kept });
    extra?.dispose();
    tensor.dispose();
    return resized;
  }

  /** Runs a session, and counts what is not on the device on either side. */
  async run(session: InferenceSession, feeds: Feeds, fetches: Record<string, Tensor | null>): Promise<Feeds> {
    for (const tensor of Object.values(feeds)) this.#upBytes += hostBytes(tensor);
    const outputs = (await session.run(feeds, fetches)) as Feeds;
    for (const tensor of Object.values(outputs)) this.#downBytes += hostBytes(tensor);
    return outputs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const owned = [this.#zeros, this.#wideZeros, this.#convert, this.#copy, this.#join, this.#copyBytes];
    for (const session of owned) await session.release();
  }

  async #make(session: InferenceSession, feeds: Feeds): Promise<Tensor> {
    return (await this.run(session, feeds, { made: null }))["made"]!;
  }
}

/** The beginning of a tensor on the device, in another shape. Whoever owns the tensor disposes of it. */
export function viewOf(tensor: Tensor, shape: readonly number[]): Tensor {
  return Tensor.fromGpuBuffer(tensor.gpuBuffer, { dataType: tensor.type as DeviceFloat, dims: shape });
}

export function sizeBytes(type: keyof typeof NUMBER_BYTES, shape: readonly number[]): Bytes {
  return shape.reduce((product, size) => product * size, NUMBER_BYTES[type]);
}

export function integers(values: Iterable<number>, shape: readonly number[]): Tensor {
  return new Tensor("int64", BigInt64Array.from(values, BigInt), shape);
}

function hostBytes(tensor: Tensor): Bytes {
  return tensor.location === "cpu" ? sizeBytes(tensor.type as keyof typeof NUMBER_BYTES, tensor.dims) : 0;
}

function buildZeros(type: DeviceFloat): Uint8Array {
  const graph = new GraphBuilder();
  const zeros = graph.op("ConstantOfShape", [graph.input("shape", "int64", ["rank"])]);
  graph.output("made", graph.op("Cast", [zeros], { to: NUMBER_TYPES[type] }), type, undefined);
  return graph.finish();
}

function buildConvert(type: DeviceFloat): Uint8Array {
  const graph = new GraphBuilder();
  const values = graph.input("values", "float32", undefined);
  graph.output("made", graph.op("Cast", [values], { to: NUMBER_TYPES[type] }), type, undefined);
  return graph.finish();
}

function buildCopy(type: DeviceFloat | "uint8"): Uint8Array {
  const graph = new GraphBuilder();
  graph.output("made", graph.input("kept", type, undefined), type, undefined);
  return graph.finish();
}

function buildJoin(type: DeviceFloat): Uint8Array {
  const graph = new GraphBuilder();
  const parts = [graph.input("kept", type, undefined), graph.input("extra", type, undefined)];
  graph.output("made", graph.op("Concat", parts, { axis: 0n }), type, undefined);
  return graph.finish();
}
