import { read } from "node:fs";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { assert, type Bytes, Fault, MIB } from "#kernel";
import type { DeltaLayer, DeltaReference, LoadedDelta } from "#model";

/** A delta that lies in the file: what it is, and where its values are, as one layer's A and B after the other. */
export interface HandedDelta {
  readonly reference: DeltaReference;
  readonly rank: number;
  readonly sizeBytes: Bytes;
  readonly startBytes: Bytes;
  readonly layers: readonly { readonly site: string; readonly rank: number; readonly aLength: number; readonly bLength: number }[];
}

/** The right to a part of the file; disposing it gives the part to the next delta. */
export interface HandOver extends Disposable {
  readonly delta: HandedDelta;
}

/**
 * What stays allocated while nothing is handed over, in the file and again in its reader: pages that need not be found and cleared for
 * the next delta. The node's memory budget counts both.
 */
export const HAND_OVER_KEPT_BYTES: Bytes = 64 * MIB;
/** Of one write or read: the system does at most 2 GiB at once. */
const PIECE_BYTES: Bytes = 256 * MIB;

/**
 * Where deltas lie on their way to another process that has the same file open. The file has no name, so it ends with the
 * processes, however they end; its pages are the system's cache, so that one copy goes in and one comes out.
 */
export class HandOverFile {
  readonly #file: FileHandle;
  /** Parts in use, by where they begin. */
  readonly #taken = new Map<Bytes, Bytes>();
  #reachBytes: Bytes = 0;
  /** Pages are being given back; nothing may be written meanwhile. */
  #shrinking: Promise<void> | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** For the other process to inherit. */
  get descriptor(): number {
    return this.#file.fd;
  }

  /** @throws Fault capacity_exhausted when the disk or memory behind the temporary directory is full */
  async put(delta: LoadedDelta): Promise<HandOver> {
    while (this.#shrinking) await this.#shrinking;
    const arrays = delta.layers.flatMap(({ a, b }) => [a, b]);
    const startBytes = this.#take(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
    const giveBack = () => this.#giveBack(startBytes);
    try {
      await this.#write(arrays, startBytes);
    } catch (error) {
      giveBack();
      throw error;
    }
    const { reference, rank, sizeBytes } = delta;
    const layers = delta.layers.map(({ site, rank, a, b }) => ({ site, rank, aLength: a.length, bLength: b.length }));
    return { delta: { reference, rank, sizeBytes, startBytes, layers }, [Symbol.dispose]: giveBack };
  }

  /** Waits for what is being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** The first part that is free and large enough. */
  #take(sizeBytes: Bytes): Bytes {
    let startBytes = 0;
    for (const [takenBytes, endBytes] of [...this.#taken].sort(([one], [other]) => one - other)) {
      if (startBytes + sizeBytes <= takenBytes) break;
      startBytes = endBytes;
    }
    this.#taken.set(startBytes, startBytes + sizeBytes);
    this.#reachBytes = Math.max(this.#reachBytes, startBytes + sizeBytes);
    return startBytes;
  }

  #giveBack(startBytes: Bytes): void {
    if (!this.#taken.delete(startBytes) || this.#taken.size > 0 || this.#reachBytes <= HAND_OVER_KEPT_BYTES) return;
    this.#reachBytes = 0;
    this.#shrinking = this.#file.truncate(0).finally(() => {
      this.#shrinking = undefined;
    });
    this.#shrinking.catch(() => undefined); // A file that was closed has given everything back; any other trouble meets the next write.
  }

  async #write(arrays: readonly Float32Array[], startBytes: Bytes): Promise<void> {
    let positionBytes = startBytes;
    for (const piece of pieces(arrays)) {
      const sizeBytes = piece.reduce((sum, { byteLength }) => sum + byteLength, 0);
      const written = await this.#file.writev(piece, positionBytes).catch((cause: unknown) => {
        throw isFull(cause) ? full(cause) : cause;
      });
      if (written.bytesWritten < sizeBytes) throw full(undefined);
      positionBytes += sizeBytes;
    }
  }
}

/** Opens a file of its own in the system's temporary directory, where it is never seen. */
export async function openHandOverFile(): Promise<HandOverFile> {
  const directory = await mkdtemp(join(tmpdir(), "deltaplane-"));
  try {
    return new HandOverFile(await open(join(directory, "deltas"), "wx+", 0o600));
  } finally {
    await rm(directory, { recursive: true });
  }
}

const readFrom = promisify(read);

/** A delta whose values lie in memory until it is disposed of. */
export interface TakenDelta extends Disposable {
  readonly delta: LoadedDelta;
}

/** The other process's side of the file. */
export class HandOverReader {
  readonly #descriptor: number;
  /** Memory for the next delta: asking the system for it each time, and the collector to find it again, costs more than the copy. */
  #spare: ArrayBuffer | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Reads a delta that was put, on a thread of its own beside a step. */
  async take({ layers, startBytes, ...delta }: HandedDelta): Promise<TakenDelta> {
    const length = layers.reduce((sum, { aLength, bLength }) => sum + aLength + bLength, 0);
    const buffer = this.#memory(length * Float32Array.BYTES_PER_ELEMENT);
    const values = new Float32Array(buffer, 0, length);
    await this.#read(new Uint8Array(buffer, 0, values.byteLength), startBytes);
    let taken = 0;
    const next = (count: number) => {
      taken += count;
      return values.subarray(taken - count, taken);
    };
    const filled = layers.map(({ site, rank, aLength, bLength }): DeltaLayer => ({ site, rank, a: next(aLength), b: next(bLength) }));
    return {
      delta: { ...delta, layers: filled },
      [Symbol.dispose]: () => {
        if (buffer.byteLength <= HAND_OVER_KEPT_BYTES) this.#spare = buffer;
      },
    };
  }

  #memory(sizeBytes: Bytes): ArrayBuffer {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare && spare.byteLength >= sizeBytes ? spare : new ArrayBuffer(sizeBytes);
  }

  async #read(bytes: Uint8Array, startBytes: Bytes): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await readFrom(this.#descriptor, bytes, done, Math.min(PIECE_BYTES, bytes.length - done), startBytes + done);
      assert(bytesRead > 0, "a delta is put before it is taken");
      done += bytesRead;
    }
  }
}

/** In lists whose sum is at most {@link PIECE_BYTES}, but that no array is cut. */
function* pieces(arrays: readonly Float32Array[]): Generator<readonly Float32Array[]> {
  let piece: Float32Array[] = [];
  let sizeBytes: Bytes = 0;
  for (const array of arrays) {
    if (piece.length > 0 && sizeBytes + array.byteLength > PIECE_BYTES) {
      yield piece;
      piece = [];
      sizeBytes = 0;
    }
    piece.push(array);
    sizeBytes += array.byteLength;
  }
  if (piece.length > 0) yield piece;
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

function full(cause: unknown): Fault {
  return new Fault("capacity_exhausted", `no room in ${tmpdir()} to hand the delta to its engine`, { cause });
}
