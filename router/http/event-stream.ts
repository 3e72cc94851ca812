import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { type Clock, every, type Millis, SECOND } from "#kernel";
import { roomToWrite } from "#proto";

/** Proxies commonly cut what says nothing for a minute, some after half of it. */
const SILENCE_MS_MAX: Millis = 15 * SECOND;
/** A comment, by the rules of server-sent events: clients skip it. */
const KEEP_ALIVE = ": keep-alive\n\n";

/** Server-sent events to one client, as fast as it reads and no faster; while there is nothing to say, a comment now and then. */
export interface EventStream extends Disposable {
  /** With a promise, the transport has no room for more before that resolves. @throws the signal's reason */
  send(data: unknown): Promise<void> | undefined;
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
  const write = (text: string): Promise<void> | undefined => {
    signal.throwIfAborted();
    saidAt = clock.monotonic();
    const full = writeWhole(response, text);
    return full && roomToWrite(full, clock, signal);
  };
  const dispose = () => over.abort();
  return {
    send: (data) => write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`),
    end: () => response.end(),
    [Symbol.dispose]: dispose,
  };
}

/**
 * Writes one chunk of HTTP/1.1 (RFC 9112, 7.1) behind a head that is out already; gives who has no room for more. The response itself would
 * make four buffers of it that leave in the next turn, at twice the price of one text that is given to the socket.
 */
function writeWhole(response: ServerResponse, text: string): Writable | undefined {
  const { socket, chunkedEncoding } = response;
  if (!socket || !chunkedEncoding) return response.write(text) ? undefined : response; // HTTP/1.0, or behind an answer that is not through yet.
  return socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`) ? undefined : socket;
}
