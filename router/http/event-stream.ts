import type { ServerResponse } from "node:http";
import type { Clock } from "#kernel";
import { roomToWrite } from "#proto";

/** Server-sent events to one client, as fast as it reads and no faster. */
export interface EventStream {
  /** Resolves when the transport has room for more. */
  send(data: unknown): Promise<void>;
  end(): void;
}

export function openEventStream(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  clock: Clock,
  signal: AbortSignal,
): EventStream {
  response.writeHead(200, { ...headers, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  const write = async (text: string) => {
    signal.throwIfAborted();
    if (!response.write(text)) await roomToWrite(response, clock, signal);
  };
  return {
    send: (data) => write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`),
    end: () => response.end(),
  };
}
