import { InferenceSession } from "onnxruntime-node";
import { type BlockFormat, buildDeviceGraph, type Checkpoint, type DeltaPart, type DevicePhase, DeviceWeights } from "#model";
import type { Feeds } from "./contract.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { DeviceWeightStore } from "./device-weight-store.ts";

/** A graph in the runtime, with the constants it asks for. */
export interface LoadedGraph {
  readonly session: InferenceSession;
  readonly weights: Feeds;
}

/** The graphs of a base, which share its weights on the device. They hold none themselves: one more costs little, and is loaded when a step first needs it. */
export class DeviceGraphs implements AsyncDisposable {
  readonly store: DeviceWeightStore;
  readonly #checkpoint: Checkpoint;
  readonly #weights: DeviceWeights;
  readonly #deltas: DeltaPart;
  readonly #loaded = new Map<string, LoadedGraph>();

  /** Puts the weights on the device. */
  static async open(
    checkpoint: Checkpoint,
    memory: DeviceMemory,
    deltas: DeltaPart,
    blocks: BlockFormat | undefined,
  ): Promise<DeviceGraphs> {
    const weights = new DeviceWeights(checkpoint, memory.type, blocks);
    // All graphs need the same constants: building one of them tells which.
    buildDeviceGraph(checkpoint, weights, { phase: "decode", deltas: undefined, top: false });
    return new DeviceGraphs(checkpoint, weights, await DeviceWeightStore.load(weights, memory), deltas);
  }

  private constructor(checkpoint: Checkpoint, weights: DeviceWeights, store: DeviceWeightStore, deltas: DeltaPart) {
    this.#checkpoint = checkpoint;
    this.#weights = weights;
    this.store = store;
    this.#deltas = deltas;
  }

  async load(phase: DevicePhase, withDeltas: boolean, top: boolean): Promise<LoadedGraph> {
    const key = `${phase} ${withDeltas} ${top}`;
    const known = this.#loaded.get(key);
    if (known) return known;
    const model = buildDeviceGraph(this.#checkpoint, this.#weights, { phase, deltas: withDeltas ? this.#deltas : undefined, top });
    const session = await InferenceSession.create(model, { executionProviders: ["webgpu"], logSeverityLevel: 3 });
    const loaded = { session, weights: this.store.feeds(session.inputNames) };
    this.#loaded.set(key, loaded);
    return loaded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { session } of this.#loaded.values()) await session.release();
    this.#loaded.clear();
    this.store.dispose();
  }
}
