import type { ServerResponse } from "node:http";
import { type Clock, Fault, type Millis } from "#kernel";

/** Server-sent events to one client, as fast as it reads and no faster. */
export interface EventStream {
  /** Resolves when the transport has room for more. */
  send(data: unknown): Promise<void>;
  end(): void;
}

/** A client that takes nothing for this long is cut off: it holds a row of the engine. */
const STALL_MS_MAX: Millis = 30_000;

export function openEventStream(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  clock: Clock,
  signal: AbortSignal,
): EventStream {
  response.writeHead(200, { ...headers, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  const write = async (text: string) => {
    signal.throwIfAborted();
    if (!response.write(text)) await drained(response, clock, signal);
  };
  return {
    send: (data) => write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`),
    end: () => response.end(),
  };
}

async function drained(response: ServerResponse, clock: Clock, signal: AbortSignal): Promise<void> {
  const settled = new AbortController();
  try {
    await new Promise<void>((resolve, reject) => {
      response.once("drain", resolve);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: settled.signal });
      clock.after(STALL_MS_MAX, settled.signal).then(
        () => reject(new Fault("client_stalled", `the client read nothing for ${STALL_MS_MAX} ms`)),
        () => undefined, // The wait ended before the limit.
      );
      if (signal.aborted) reject(signal.reason);
    });
  } finally {
    settled.abort();
  }
}
