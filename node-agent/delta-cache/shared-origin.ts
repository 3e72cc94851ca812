import { type Bytes, type DeltaDigest, isFault } from "#kernel";
import type { DeltaReference } from "#model";
import type { DeltaOrigin } from "./contract.ts";

/** Fetches from another node. @throws what it says, or that it does not answer */
export type FetchFromPeer = (
  address: string,
  reference: DeltaReference,
  directory: string,
  bytesMax: Bytes,
  signal: AbortSignal,
) => Promise<void>;

/** Of a delta, how many other nodes are asked before the store: one may be gone, two hardly. */
const SOURCES_MAX = 2;
/** Deltas whose sources are remembered until they are fetched: those that were asked for lately and not found here. */
const HINTS_MAX = 4096;

/**
 * The store behind other nodes: who is told that another node has a delta, or is fetching it, asks there first, so that a
 * delta leaves a slow store once however many nodes want it. A node passes on what it fetches from the store, never what it
 * waits for from another node: nobody can wait for themselves.
 */
export class SharedOrigin implements DeltaOrigin {
  readonly #store: DeltaOrigin;
  readonly #fromPeer: FetchFromPeer;
  readonly #hints = new Map<DeltaDigest, readonly string[]>();
  readonly #fromStore = new Set<DeltaDigest>();

  constructor(store: DeltaOrigin, fromPeer: FetchFromPeer) {
    this.#store = store;
    this.#fromPeer = fromPeer;
  }

  /** Other nodes, `host:port`, that may have the delta. */
  hint(digest: DeltaDigest, sources: readonly string[]): void {
    this.#hints.delete(digest);
    if (sources.length > 0) this.#hints.set(digest, sources.slice(0, SOURCES_MAX));
    if (this.#hints.size > HINTS_MAX) this.#hints.delete(this.#hints.keys().next().value!);
  }

  /** Whether it is on its way from the store. */
  comesFromStore(digest: DeltaDigest): boolean {
    return this.#fromStore.has(digest);
  }

  async fetch(reference: DeltaReference, directory: string, bytesMax: Bytes, signal: AbortSignal): Promise<void> {
    const { digest } = reference;
    const sources = this.#hints.get(digest) ?? [];
    this.#hints.delete(digest);
    for (const address of sources) {
      try {
        return await this.#fromPeer(address, reference, directory, bytesMax, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isFault(error)) throw error; // Whatever the node said: the store knows better.
      }
    }
    this.#fromStore.add(digest);
    try {
      await this.#store.fetch(reference, directory, bytesMax, signal);
    } finally {
      this.#fromStore.delete(digest);
    }
  }
}
