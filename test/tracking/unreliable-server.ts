import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * What happens to a request: it is answered; refused with 503; cut off before it is looked at; or done and then cut off,
 * so that the client cannot know.
 */
export type Fate = "answered" | "refused" | "lost" | "unheard";

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

export interface UnreliableServer extends AsyncDisposable {
  readonly url: string;
  /** Asked for each request. */
  fate: (request: IncomingMessage) => Fate;
  requests: number;
}

/** A real HTTP server on this machine, as unreliable as a test wants it. */
export async function startUnreliableServer(
  bodyBytesMax: number,
  answer: (request: IncomingMessage, body: Buffer) => Answer,
): Promise<UnreliableServer> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error.stack));
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    handleOf.requests += 1;
    const fate = handleOf.fate(request);
    if (fate === "lost") return void request.socket.destroy();
    if (fate === "refused") return void response.writeHead(503).end("down for a while");
    const { status, body: content } = body.length > bodyBytesMax ? { status: 413, body: "too large" } : answer(request, body);
    if (fate === "unheard") return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json" }).end(content === undefined ? "" : JSON.stringify(content));
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const handleOf: UnreliableServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fate: () => "answered",
    requests: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return handleOf;
}
