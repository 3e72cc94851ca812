import type { Writable } from "node:stream";
import { type Clock, Fault, type Millis } from "#kernel";

/** A client that takes nothing for this long is cut off: it holds a row of the engine. */
export const STALL_MS_MAX: Millis = 30_000;

/**
 * Waits until a client's transport takes more. After a cancel `drain` never comes, so the signal and `close` race it.
 * @throws the signal's reason; Fault client_stalled after `stallMsMax`
 */
export async function roomToWrite(stream: Writable, clock: Clock, signal: AbortSignal, stallMsMax: Millis = STALL_MS_MAX): Promise<void> {
  const settled = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal.reason);
  try {
    stream.once("drain", resolve).once("close", resolve);
    signal.addEventListener("abort", abort);
    clock.after(stallMsMax, settled.signal).then(
      () => reject(new Fault("client_stalled", `the client read nothing for ${stallMsMax} ms`)),
      () => undefined, // The wait ended before the limit.
    );
    if (signal.aborted) abort();
    await promise;
  } finally {
    settled.abort();
    stream.off("drain", resolve).off("close", resolve); // A long stream waits thousands of times.
    signal.removeEventListener("abort", abort);
  }
}
