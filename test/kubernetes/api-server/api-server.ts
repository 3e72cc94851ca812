import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type ApiPath, Kinds } from "./api-path.ts";
import { customKind } from "./custom-kind.ts";
import { Faults } from "./faults.ts";
import type { Kind, StoredObject } from "./kind.ts";
import { ObjectStore } from "./object-store.ts";
import { expired, StatusError } from "./status-error.ts";
import { streamWatch } from "./watch-stream.ts";

const CRDS: Kind = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
  statusSubresource: true,
  admit: (object) => object,
};

const TIMEOUT_MS = 30 * 60_000;

export interface TestServerTls {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/**
 * As much of a Kubernetes API server as our code and its tests speak to, over real HTTP: get, list (with pages and label
 * selectors), create, replace, delete and watch; versions, conflicts, generations, finalizers, status subresources,
 * bookmarks and 410; Leases, EndpointSlices, Namespaces, and whatever CustomResourceDefinitions are posted, with their
 * schemas and CEL rules. Not here: patch and apply, admission, RBAC, several versions of a kind, garbage collection,
 * conversion, defaults, and the rule that a CEL rule must not cost too much.
 */
export class TestApiServer implements AsyncDisposable {
  readonly faults = new Faults();
  readonly store = new ObjectStore();
  /** What clients asked for, method and path. */
  readonly requests: string[] = [];
  readonly token: string;
  readonly #kinds = new Kinds();
  readonly #server: Server;
  readonly #scheme: string;

  private constructor(token: string, tls: TestServerTls | undefined) {
    this.token = token;
    this.#scheme = tls ? "https" : "http";
    this.#kinds.add(CRDS);
    const serve: RequestListener = (request, response) => {
      this.#serve(request, response).catch((error: unknown) => answer(response, error instanceof StatusError ? error.code : 500, error));
    };
    this.#server = tls ? createTlsServer(tls, serve) : createServer(serve);
  }

  /** In the clear without a certificate. */
  static async start(tls?: TestServerTls): Promise<TestApiServer> {
    const server = new TestApiServer("test-token", tls);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Removes an object so that no watch hears of it: connections drop, and what happened is forgotten. */
  removeUnheard(objectPath: string): void {
    const { kind, namespace, name } = this.#kinds.read(objectPath);
    this.faults.dropWatches();
    this.store.remove(kind, namespace, name!);
    this.store.compact();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.url);
    this.requests.push(`${request.method} ${url.pathname}`);
    if (this.faults.silent) return; // Neither done nor answered.
    if (this.faults.delayMs > 0) await delay(this.faults.delayMs);
    if (this.faults.refuseNext > 0) {
      this.faults.refuseNext--;
      throw new StatusError(this.faults.refusalStatus, "InternalError", "refused on purpose");
    }
    if (request.headers.authorization !== `Bearer ${this.token}`) throw new StatusError(401, "Unauthorized", "Unauthorized");
    const path = this.#kinds.read(url.pathname);
    if (request.method === "GET" && path.name === undefined && url.searchParams.get("watch") === "true") this.#watch(path, url, response);
    else answer(response, request.method === "POST" ? 201 : 200, await this.#answer(request, path, url));
  }

  async #answer(request: IncomingMessage, path: ApiPath, url: URL): Promise<unknown> {
    const { kind, namespace, name, part } = path;
    if (name === undefined) {
      if (request.method === "GET") return this.#list(path, url.searchParams);
      if (request.method === "POST") return this.#create(kind, namespace, await readBody(request));
    } else {
      if (request.method === "GET") return whole(kind, this.store.get(kind, namespace, name));
      if (request.method === "PUT") return whole(kind, this.store.replace(kind, namespace, name, await readBody(request), part));
      if (request.method === "DELETE") return whole(kind, this.store.remove(kind, namespace, name));
    }
    throw new StatusError(405, "MethodNotAllowed", `${request.method} is not served here`);
  }

  #create(kind: Kind, namespace: string, sent: StoredObject): StoredObject {
    const created = this.store.create(kind, namespace, sent);
    if (kind === CRDS) {
      this.#kinds.add(customKind(created));
      const established = { ...created, status: { conditions: [{ type: "Established", status: "True" }] } };
      return whole(kind, this.store.replace(kind, "", created.metadata.name, established, "status"));
    }
    return whole(kind, created);
  }

  /** Pages are cut from the list as it is now: enough for clients, who may not look into the token. */
  #list({ kind, namespace }: ApiPath, query: URLSearchParams): unknown {
    const limit = Number(query.get("limit") ?? Number.POSITIVE_INFINITY);
    const from = Number(query.get("continue") ?? 0);
    const all = this.store.list(kind, namespace).filter(selector(query));
    const rest = all.length - from - limit;
    const more = rest > 0 ? { continue: String(from + limit), remainingItemCount: rest } : {};
    const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
    const metadata = { resourceVersion: String(this.store.revision), ...more };
    return { kind: `${kind.kind}List`, apiVersion, metadata, items: all.slice(from, from + limit) };
  }

  #watch({ kind, namespace }: ApiPath, { searchParams: query }: URL, response: ServerResponse): void {
    const revision = Number(query.get("resourceVersion"));
    if (this.faults.expireByStatus && revision < this.store.oldest) throw expired(revision, this.store.oldest);
    const timeoutMs = Number(query.get("timeoutSeconds") ?? TIMEOUT_MS / 1000) * 1000;
    const bookmarks = query.get("allowWatchBookmarks") === "true";
    streamWatch(this.store, this.faults, { kind, namespace, revision, timeoutMs, bookmarks, selected: selector(query) }, response);
  }
}

function whole(kind: Kind, object: StoredObject): StoredObject {
  return { ...object, apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`, kind: kind.kind };
}

/** Of label selectors, `key=value` and several of them. */
function selector(query: URLSearchParams): (object: StoredObject) => boolean {
  const wanted = (query.get("labelSelector") ?? "").split(",").filter((part) => part !== "");
  return ({ metadata }) =>
    wanted.every((part) => {
      const [key, value] = part.split("=");
      return (metadata["labels"] as Record<string, string> | undefined)?.[key!] === value;
    });
}

async function readBody(request: IncomingMessage): Promise<StoredObject> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const body = JSON.parse(Buffer.concat(pieces).toString()) as StoredObject;
  if (typeof body?.metadata !== "object") throw new StatusError(400, "BadRequest", "an object has metadata");
  return body;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const said = body instanceof StatusError || !(body instanceof Error) ? body : new StatusError(500, "InternalError", String(body.stack));
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(said));
}
