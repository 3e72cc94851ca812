import type { Tensor } from "onnxruntime-node";
import type { Bytes } from "#kernel";
import type { DeltaPart, LoadedDelta } from "#model";
import type { Slot } from "../../contract.ts";

export type Feeds = Record<string, Tensor>;

/** The deltas of a runner on a device: their tables there, and how a step's tokens find them. */
export interface DeviceDeltas extends AsyncDisposable {
  /** What it puts into the graph of a step that has deltas. */
  readonly part: DeltaPart;
  /** Of the tables on the device. */
  readonly memoryBytes: Bytes;
  /** Gives a delta its place. Undefined when there is no room; then nothing has changed. */
  attach(delta: LoadedDelta): Slot | undefined;
  /** Copies the next part of an attached delta to the device. True when all of it is there. */
  fill(slot: Slot): Promise<boolean>;
  detach(slot: Slot): void;
  /** What the graph's part is fed with for a batch, by token; undefined for the plain base. At least one token has a slot. */
  feeds(slotOfToken: readonly (Slot | undefined)[]): Feeds;
}
