import { assert, type Bytes } from "#kernel";
import type { DeltaLayer, LoadedDelta } from "#model";
import { DELTA_PART_BYTES, type ToEngine } from "./process-messages.ts";

type AttachMessage = Extract<ToEngine, { kind: "attach" }>;
type LayersMessage = Extract<ToEngine, { kind: "layers" }>;

/** The messages that carry a delta: its announcement, then its layers in parts of about {@link DELTA_PART_BYTES}. */
export function* deltaMessages(call: number, delta: LoadedDelta): Generator<AttachMessage | LayersMessage> {
  yield { kind: "attach", call, reference: delta.reference, rank: delta.rank, sizeBytes: delta.sizeBytes };
  let layers: DeltaLayer[] = [];
  let partBytes: Bytes = 0;
  for (const layer of delta.layers) {
    const layerBytes = layer.a.byteLength + layer.b.byteLength;
    if (layers.length > 0 && partBytes + layerBytes > DELTA_PART_BYTES) {
      yield { kind: "layers", call, layers, last: false };
      layers = [];
      partBytes = 0;
    }
    layers.push(layer);
    partBytes += layerBytes;
  }
  yield { kind: "layers", call, layers, last: true };
}

/** Puts deltas together again from what {@link deltaMessages} gave; several may be on their way at once. */
export class DeltaAssembly {
  readonly #arriving = new Map<number, { readonly announced: AttachMessage; readonly layers: DeltaLayer[] }>();

  /** Deltas that have been announced and are not complete. */
  get arriving(): number {
    return this.#arriving.size;
  }

  announce(message: AttachMessage): void {
    assert(!this.#arriving.has(message.call), `attach ${message.call} is announced twice`);
    this.#arriving.set(message.call, { announced: message, layers: [] });
  }

  /** The whole delta with its last part, undefined before. */
  add({ call, layers, last }: LayersMessage): LoadedDelta | undefined {
    const arriving = this.#arriving.get(call);
    assert(arriving, `layers of attach ${call}, which was not announced`);
    arriving.layers.push(...layers);
    if (!last) return undefined;
    this.#arriving.delete(call);
    const { reference, rank, sizeBytes } = arriving.announced;
    return { reference, rank, sizeBytes, layers: arriving.layers };
  }
}
