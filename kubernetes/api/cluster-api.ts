import { z } from "zod";
import { type Clock, deadlineSignal, Fault, isFault, type Millis, SECOND } from "#kernel";
import { type AccessOptions, type ApiAnswer, type ApiRequest, ClusterAccess } from "./cluster-access.ts";
import type { KubernetesApi, KubernetesObject, ObjectList, Resource, Selection, WatchEvent, WatchOptions, Written } from "./contract.ts";
import { jsonLines } from "./json-lines.ts";

/** A server that works answers in milliseconds; who is in a hurry, as for a lease, brings a signal of its own. */
const CALL_MS_MAX: Millis = 4 * SECOND;
/** A list may be long, and a server that has just started is slow. */
const LIST_MS_MAX: Millis = 20 * SECOND;
/** Objects per page of a list. */
const PAGE_ITEMS = 500;

const ObjectShape = z.looseObject({ metadata: z.looseObject({ name: z.string(), resourceVersion: z.string().optional() }) });
const ListShape = z.looseObject({
  items: z.array(ObjectShape),
  metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().optional() }),
});
const StatusShape = z.looseObject({ message: z.string().optional(), reason: z.string().optional(), code: z.number().optional() });
const EventShape = z.looseObject({ type: z.string(), object: z.looseObject({}) });

/** The API server of a kubeconfig, or of the pod that we are. @throws Fault file_missing, file_malformed or parameter_invalid */
export function openKubernetesApi(deps: { readonly clock: Clock }, options: AccessOptions): KubernetesApi {
  return new ClusterApi(deps.clock, options);
}

class ClusterApi implements KubernetesApi {
  readonly #access: ClusterAccess;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  constructor(clock: Clock, options: AccessOptions) {
    this.#clock = clock;
    this.#access = new ClusterAccess(clock, options);
  }

  get namespace(): string {
    return this.#access.namespace;
  }

  async get(resource: Resource, name: string, signal?: AbortSignal): Promise<KubernetesObject | undefined> {
    const { status, body } = await this.#call({ method: "GET", path: this.#path(resource, name) }, CALL_MS_MAX, signal);
    return status === 404 ? undefined : readObject(status, body);
  }

  async list(resource: Resource, selection: Selection, signal?: AbortSignal): Promise<ObjectList> {
    const items: KubernetesObject[] = [];
    let next: string | undefined;
    for (;;) {
      const query = { limit: String(PAGE_ITEMS), ...selection, ...(next === undefined ? {} : { continue: next }) };
      const path = `${this.#path(resource)}?${new URLSearchParams(query)}`;
      const { status, body } = await this.#call({ method: "GET", path }, LIST_MS_MAX, signal);
      if (status !== 200) throw refusal(status, body);
      const { items: page, metadata } = understood(ListShape, body);
      items.push(...(page as unknown as KubernetesObject[]));
      next = metadata.continue;
      if (next === undefined || next === "") return { items, resourceVersion: metadata.resourceVersion };
    }
  }

  create(resource: Resource, object: KubernetesObject, signal?: AbortSignal): Promise<Written> {
    return this.#write({ method: "POST", path: this.#path(resource), body: named(resource, object) }, signal);
  }

  replace(resource: Resource, part: "object" | "status", object: KubernetesObject, signal?: AbortSignal): Promise<Written> {
    const path = this.#path(resource, object.metadata.name) + (part === "status" ? "/status" : "");
    return this.#write({ method: "PUT", path, body: named(resource, object) }, signal);
  }

  async remove(resource: Resource, name: string, signal?: AbortSignal): Promise<boolean> {
    const { status, body } = await this.#call({ method: "DELETE", path: this.#path(resource, name) }, CALL_MS_MAX, signal);
    if (status === 404) return false;
    if (status !== 200 && status !== 202) throw refusal(status, body);
    return true;
  }

  async *watch(resource: Resource, options: WatchOptions, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const { labelSelector, resourceVersion, lifeMs } = options;
    const query = new URLSearchParams({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion,
      timeoutSeconds: String(Math.ceil(lifeMs / SECOND)),
      ...(labelSelector === undefined ? {} : { labelSelector }),
    });
    const both = AbortSignal.any([signal, this.#closing.signal]);
    try {
      const answer = await this.#access.send({ method: "GET", path: `${this.#path(resource)}?${query}`, signal: both });
      const { status } = answer;
      if (status === 410) {
        yield { kind: "expired" };
        return;
      }
      if (status !== 200) throw refusal(status, parseJson(await answer.text()));
      yield { kind: "open" };
      for await (const line of jsonLines(answer.pieces())) yield readEvent(line);
    } catch (error) {
      signal.throwIfAborted();
      throw isFault(error) ? error : unreachable(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Fault("shutting_down", "the connection to the API server is closed"));
    await this.#access.close();
  }

  async #write(request: Omit<ApiRequest, "signal">, signal: AbortSignal | undefined): Promise<Written> {
    const { status, body } = await this.#call(request, CALL_MS_MAX, signal);
    if (status === 409) return { kind: "conflict" };
    if (status === 404) return { kind: "absent" };
    return { kind: "written", object: readObject(status, body) };
  }

  async #call(request: Omit<ApiRequest, "signal">, waitMs: Millis, signal: AbortSignal | undefined) {
    const parent = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    using limit = deadlineSignal(this.#clock, waitMs, () => new Fault("store_unreachable", "the API server does not answer"), parent);
    try {
      const answer = await this.#send({ ...request, signal: limit.signal });
      return { status: answer.status, body: parseJson(await answer.text()) };
    } catch (error) {
      limit.signal.throwIfAborted();
      throw unreachable(error);
    }
  }

  /** A connection that was idle may be closed by the server just as it is used: what only reads is sent again, once. */
  async #send(request: ApiRequest): Promise<ApiAnswer> {
    try {
      return await this.#access.send(request);
    } catch (error) {
      if (request.method !== "GET" || request.signal.aborted) throw error;
      return this.#access.send(request);
    }
  }

  #path({ group, version, plural, clusterWide }: Resource, name?: string): string {
    const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    const place = clusterWide ? "" : `/namespaces/${encodeURIComponent(this.namespace)}`;
    return `${root}${place}/${plural}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
  }
}

function named({ group, version, kind }: Resource, object: KubernetesObject): KubernetesObject {
  return { ...object, apiVersion: group === "" ? version : `${group}/${version}`, kind };
}

function readObject(status: number, body: unknown): KubernetesObject {
  if (status !== 200 && status !== 201) throw refusal(status, body);
  return understood(ObjectShape, body) as unknown as KubernetesObject;
}

function readEvent(line: unknown): WatchEvent {
  const { type, object } = understood(EventShape, line);
  if (type === "ERROR") {
    const { code = 500 } = understood(StatusShape, object);
    if (code === 410) return { kind: "expired" };
    throw refusal(code, object);
  }
  if (type === "BOOKMARK") {
    const { metadata } = understood(z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) }), object);
    return { kind: "bookmark", resourceVersion: metadata.resourceVersion };
  }
  const read = understood(ObjectShape, object) as unknown as KubernetesObject;
  return { kind: type === "DELETED" ? "gone" : "present", object: read };
}

/** What the server says with anything but success. */
function refusal(status: number, body: unknown): Fault {
  const { message = "" } = StatusShape.safeParse(body).data ?? {};
  const said = `the API server answers ${status}: ${message.slice(0, 500)}`;
  if (status === 401) return new Fault("key_unknown", said);
  if (status === 403) return new Fault("scope_missing", said);
  if (status === 400 || status === 404 || status === 413 || status === 422) return new Fault("parameter_invalid", said);
  return new Fault("store_unreachable", said);
}

function unreachable(cause: unknown): Fault {
  return new Fault("store_unreachable", "the API server cannot be reached", { cause });
}

function understood<T>(shape: z.ZodType<T>, value: unknown): T {
  const read = shape.safeParse(value);
  if (!read.success) throw new Fault("store_unreachable", "the API server answers in a way that is not understood", { cause: read.error });
  return read.data;
}

/** A proxy in between answers in HTML: the status says enough. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
