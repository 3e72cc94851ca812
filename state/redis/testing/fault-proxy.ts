import type { AddressInfo } from "node:net";
import { createConnection, createServer, type Server, type Socket } from "node:net";

/** A network that fails on demand, between a client and a server on this machine. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** Forwards everything again; connections that were stalled stay stalled, so that they are cut. */
  heal(): void;
  /**
   * Lets the next request through and cuts the connection in place of the reply. Resolves when that has happened.
   * A Redis's error reply does not count, for it means that nothing was done.
   */
  cutNextReply(): Promise<void>;
  /** Every reply from now on is late by this. */
  delayReplies(delayMs: number): void;
  /** From now on nothing arrives anywhere, and nobody is told. */
  blackhole(): void;
  /** Cuts all connections, and every new one at once. */
  refuse(): void;
}

export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const proxy = new TcpProxy(targetPort);
  await proxy.listen();
  return proxy;
}

const HOST = "127.0.0.1";

class TcpProxy implements FaultProxy {
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #mode: "forward" | "blackhole" | "refuse" = "forward";
  #delayMs = 0;
  #cut: PromiseWithResolvers<void> | undefined;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((client) => this.#join(client));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, HOST, resolve));
  }

  heal(): void {
    if (this.#mode === "blackhole") this.#cutAll();
    this.#mode = "forward";
    this.#delayMs = 0;
    this.#cut = undefined;
  }

  cutNextReply(): Promise<void> {
    this.#cut = Promise.withResolvers();
    return this.#cut.promise;
  }

  delayReplies(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  blackhole(): void {
    this.#mode = "blackhole";
  }

  refuse(): void {
    this.#mode = "refuse";
    this.#cutAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    if (this.#mode === "refuse") {
      client.destroy();
      return;
    }
    const server = createConnection(this.#targetPort, HOST);
    client.on("data", (bytes) => this.#mode === "forward" && server.write(bytes));
    server.on("data", (bytes) => this.#reply(bytes, client, server));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => other.destroy()); // What a cut looks like from either side.
      one.on("close", () => {
        other.destroy();
        this.#sockets.delete(one);
      });
    }
  }

  #reply(bytes: Buffer, client: Socket, server: Socket): void {
    if (this.#mode !== "forward") return;
    if (this.#cut && bytes[0] !== "-".charCodeAt(0)) {
      client.destroy();
      server.destroy();
      this.#cut.resolve();
      this.#cut = undefined;
    } else if (this.#delayMs > 0) setTimeout(() => client.write(bytes), this.#delayMs);
    else client.write(bytes);
  }

  #cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
