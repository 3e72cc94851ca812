import { readFileSync } from "node:fs";
import { type HttpMethod, IsomorphicFetchHttpLibrary, KubeConfig, RequestContext } from "@kubernetes/client-node";
import { type Clock, Fault, MINUTE, type Millis } from "#kernel";

export interface AccessOptions {
  /** Default: the service account of the pod. */
  readonly kubeconfig?: string;
  /** Default: the pod's, or the one of the kubeconfig's context. */
  readonly namespace?: string;
}

/** One request to the API server, with what proves who we are. */
export interface ApiRequest {
  readonly method: keyof typeof HttpMethod;
  /** From the root, with its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly signal: AbortSignal;
}

/** What the server says; the body is read in one of the two ways. */
export interface ApiAnswer {
  readonly status: number;
  text(): Promise<string>;
  pieces(): AsyncIterable<Uint8Array>;
}

/** Certificates may be renewed under us: connections are made anew, from the files as they then are, after this long. */
const CONNECTIONS_MS_MAX: Millis = 10 * MINUTE;
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/**
 * Who we are and where the API server is: the one place that knows @kubernetes/client-node, whose kubeconfig, logins and
 * TLS are used. Its informers are not: they stop for good at most errors (see docs/decisions/kubernetes-client.md).
 */
export class ClusterAccess {
  readonly #config = new KubeConfig();
  readonly #http = new IsomorphicFetchHttpLibrary();
  readonly #clock: Clock;
  #connections: { readonly pool: NonNullable<ReturnType<RequestContext["getDispatcher"]>>; readonly madeAt: Millis } | undefined;
  readonly namespace: string;

  /** @throws Fault file_missing or file_malformed */
  constructor(clock: Clock, options: AccessOptions) {
    this.#clock = clock;
    load(this.#config, options.kubeconfig);
    this.namespace = options.namespace ?? ownNamespace(this.#config, options.kubeconfig);
  }

  /** @throws what the connection throws */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    const server = this.#config.getCurrentCluster()!.server.replace(/\/$/, "");
    const context = new RequestContext(server + request.path, request.method);
    await this.#config.applySecurityAuthentication(context);
    this.#reuseConnections(context);
    context.setHeaderParam("Accept", "application/json");
    context.setSignal(request.signal);
    if (request.body !== undefined) {
      context.setHeaderParam("Content-Type", "application/json");
      context.setBody(JSON.stringify(request.body));
    }
    const { httpStatusCode, body } = await this.#http.send(context).toPromise();
    return { status: httpStatusCode, text: () => body.text(), pieces: () => body.stream() as AsyncIterable<Uint8Array> };
  }

  async close(): Promise<void> {
    await this.#connections?.pool.destroy();
    this.#connections = undefined;
  }

  /** The client makes a pool of connections for each request, with the certificates as they are now; we keep one for a while. */
  #reuseConnections(context: RequestContext): void {
    const fresh = context.getDispatcher();
    if (!fresh) return; // Nothing but plain HTTPS: the process's own pool serves.
    const now = this.#clock.monotonic();
    if (!this.#connections || now - this.#connections.madeAt > CONNECTIONS_MS_MAX) this.#connections = { pool: fresh, madeAt: now };
    context.setDispatcher(this.#connections.pool);
  }
}

function load(config: KubeConfig, file: string | undefined): void {
  try {
    if (file === undefined) config.loadFromCluster();
    else config.loadFromFile(file);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new Fault(missing ? "file_missing" : "file_malformed", `${file} cannot be read as a kubeconfig`, {
      detail: { file: file ?? "" },
      cause,
    });
  }
  if (config.getCurrentCluster() && !config.getCurrentCluster()!.server.includes("//undefined")) return;
  const message = file === undefined ? "this is no pod: name the cluster with --kubeconfig" : `${file} names no current cluster`;
  throw new Fault("parameter_invalid", message, { detail: { field: "kubeconfig" } });
}

function ownNamespace(config: KubeConfig, kubeconfig: string | undefined): string {
  const ofContext = config.getContextObject(config.getCurrentContext())?.namespace;
  if (ofContext !== undefined) return ofContext;
  if (kubeconfig !== undefined) return "default";
  try {
    return readFileSync(NAMESPACE_FILE, "utf8").trim();
  } catch (cause) {
    throw new Fault("file_missing", `${NAMESPACE_FILE} cannot be read`, { detail: { file: NAMESPACE_FILE }, cause });
  }
}
