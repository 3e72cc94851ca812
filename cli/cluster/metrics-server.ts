import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import { Fault } from "#kernel";

export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves `/metrics` on a port of its own, so that it is never exposed with the API; beside it `/healthz`, whether the
 * process answers at all, and `/readyz`, whether new work should come here.
 */
export async function startMetricsServer(
  registry: Registry,
  listen: { readonly host: string; readonly port: number },
  ready: () => boolean = () => true,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const path = request.method === "GET" ? request.url?.split("?")[0] : undefined;
    if (path === "/healthz") answerJson(response, 200, { status: "ok" });
    else if (path === "/readyz") answerJson(response, ready() ? 200 : 503, { ready: ready() });
    else if (path === "/metrics") answerMetrics(response, registry);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new Fault("parameter_invalid", `cannot listen on ${listen.host}:${listen.port} for metrics: ${cause.message}`, {
          detail: { field: "metrics-port" },
          cause,
        }),
      ),
    );
    server.listen(listen.port, listen.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}

function answerMetrics(response: ServerResponse, registry: Registry): void {
  registry.metrics().then(
    (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
}
