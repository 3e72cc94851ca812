import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type Bytes, type Clock, deadlineSignal, Fault, type Millis, SECOND, unreachable } from "#kernel";
import { type DownloadDeltaResponse, type GrpcChannel, ModelServiceService, NodeServiceService } from "#proto";
import type { DeltaOrigin } from "./contract.ts";
import { CONFIG_FILE, WEIGHTS_FILE } from "./delta-folder.ts";
import type { FetchFromPeer } from "./shared-origin.ts";

/** A fetch that takes longer is given up: whoever waits is better served by another node. */
const FETCH_MS_MAX: Millis = 60 * SECOND;
/** A node that lives says so in a few milliseconds. Who stands still would be noticed much later, and a request may wait. */
const ALIVE_MS_MAX: Millis = 250;

/** Deltas from the routers' stores, asked in turn until one answers. */
export function createGrpcOrigin(routers: Iterable<GrpcChannel>): DeltaOrigin {
  return {
    async fetch(reference, directory, bytesMax, signal) {
      let failure = new Fault("delta_unavailable", "this node knows no router to fetch deltas from");
      for (const router of routers) {
        try {
          const call = { signal, timeoutMs: FETCH_MS_MAX };
          return await receive(router.serverStream(ModelServiceService.downloadDelta, { delta: reference }, call), directory, bytesMax);
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof Fault) || !isUnreachable(error)) throw error;
          failure = new Fault("delta_unavailable", "the delta could not be fetched from its store", { cause: error });
        }
      }
      throw failure;
    },
  };
}

/**
 * Deltas from other nodes, each over a channel of its own: few are fetched, and from anywhere. The function throws Fault
 * node_lost when the node says nothing at all for {@link ALIVE_MS_MAX}.
 */
export function createPeerFetch(clock: Clock, openTo: (address: string) => GrpcChannel): FetchFromPeer {
  return async (address, delta, directory, bytesMax, signal) => {
    await using channel = openTo(address);
    const call = { signal, timeoutMs: FETCH_MS_MAX };
    const parts = channel.serverStream(NodeServiceService.fetchDelta, { delta }, call);
    await receive(withSignOfLife(clock, address, parts), directory, bytesMax);
  };
}

async function* withSignOfLife<T>(clock: Clock, address: string, messages: AsyncIterable<T>): AsyncGenerator<T> {
  const source = messages[Symbol.asyncIterator]();
  try {
    const first = await firstOf(clock, address, source.next());
    if (first.done) return;
    yield first.value;
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
  } finally {
    // Not awaited: a call that waits for its connection ends when the channel is closed.
    source.return?.().catch(() => undefined);
  }
}

async function firstOf<T>(clock: Clock, address: string, first: Promise<T>): Promise<T> {
  const message = `${address} said nothing for ${ALIVE_MS_MAX} ms`;
  using silence = deadlineSignal(clock, ALIVE_MS_MAX, () => new Fault("node_lost", message));
  const { promise: silent, reject } = Promise.withResolvers<never>();
  silence.signal.addEventListener("abort", () => reject(silence.signal.reason), { once: true });
  first.catch(() => undefined); // Once given up, nobody waits for how it ends.
  return await Promise.race([first, silent]);
}

function isUnreachable(fault: Fault): boolean {
  return fault.code === "unavailable" || fault.code === "deadline_exceeded" || fault.code === "cancelled";
}

async function receive(parts: AsyncIterable<DownloadDeltaResponse>, directory: string, bytesMax: Bytes): Promise<void> {
  await using config = await openFile(join(directory, CONFIG_FILE));
  await using weights = await openFile(join(directory, WEIGHTS_FILE));
  let received = 0;
  for await (const { part } of parts) {
    if (!part) continue;
    received += part.value.byteLength;
    if (received > bytesMax) throw new Fault("message_too_large", `the delta is larger than the ${bytesMax} bytes this node takes`);
    await writePart(part, config, weights);
  }
}

async function writePart(part: NonNullable<DownloadDeltaResponse["part"]>, config: FileHandle, weights: FileHandle): Promise<void> {
  switch (part.$case) {
    case "config":
      await config.appendFile(part.value);
      return;
    case "weights":
      await weights.appendFile(part.value);
      return;
    default:
      unreachable(part);
  }
}

/** Empty, whatever a router that broke off in the middle has left. */
function openFile(path: string): Promise<FileHandle> {
  return open(path, "w");
}
