import type { ServerResponse } from "node:http";
import { type Clock, every, type Millis, SECOND } from "#kernel";
import { roomToWrite } from "#proto";

/** Proxies commonly cut what says nothing for a minute, some after half of it. */
const SILENCE_MS_MAX: Millis = 15 * SECOND;
/** A comment, by the rules of server-sent events: clients skip it. */
const KEEP_ALIVE = ": keep-alive\n\n";

/** Server-sent events to one client, as fast as it reads and no faster; while there is nothing to say, a comment now and then. */
export interface EventStream extends Disposable {
  /** Resolves when the transport has room for more. */
  send(data: unknown): Promise<void>;
  end(): void;
}

export function openEventStream(
  response: ServerResponse,
  headers: Readonly<Record<string, string | number | string[] | undefined>>,
  clock: Clock,
  signal: AbortSignal,
): EventStream {
  response.writeHead(200, { ...headers, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  response.flushHeaders();
  const over = new AbortController();
  let saidAt = clock.monotonic();
  // Half of it, so that a silence that began just after a look ends in time.
  every(clock, SILENCE_MS_MAX / 2, over.signal, () => {
    if (clock.monotonic() - saidAt < SILENCE_MS_MAX / 2 || response.writableNeedDrain || response.destroyed) return;
    response.write(KEEP_ALIVE);
  });
  const write = async (text: string) => {
    signal.throwIfAborted();
    saidAt = clock.monotonic();
    if (!response.write(text)) await roomToWrite(response, clock, signal);
  };
  const dispose = () => over.abort();
  return {
    send: (data) => write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`),
    end: () => response.end(),
    [Symbol.dispose]: dispose,
  };
}
