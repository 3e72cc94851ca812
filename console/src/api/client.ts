import { endSessionOn, session } from "../session/session.ts";
import { ApiFailure } from "./failure.ts";
import { type Method, type RequestOptions, request, send } from "./request.ts";

/** The signed-in user's calls. Each throws `ApiFailure` for a refusal; a key that is no longer known ends the session. */

/** What a query is made of; what is undefined is left out, a list is repeated. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return guarded(signal, (key, until) => request<T>(key, "GET", withQuery(path, query), { signal: until }));
}

export function post<T>(path: string, body: unknown = {}, options: Omit<RequestOptions, "body"> = {}): Promise<T> {
  return guarded(options.signal, (key, until) => request<T>(key, "POST", path, { ...options, body, signal: until }));
}

export function remove<T>(path: string): Promise<T> {
  return guarded(undefined, (key, until) => request<T>(key, "DELETE", path, { signal: until }));
}

/** For answers that are no JSON: streams and files. */
export function ask(method: Method, path: string, options: RequestOptions = {}): Promise<Response> {
  return guarded(options.signal, (key, until) => send(key, method, path, { ...options, signal: until }));
}

/** A path with a name in it: names of models hold slashes and colons. */
export function pathOf(...segments: readonly string[]): string {
  return `/${segments.map(encodeURIComponent).join("/")}`;
}

function withQuery(path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? (value as readonly string[]) : [String(value)]) search.append(name, each);
  }
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** With the key, for as long as somebody waits and the session lasts. */
async function guarded<T>(signal: AbortSignal | undefined, call: (key: string, until: AbortSignal) => Promise<T>): Promise<T> {
  const current = session.value;
  if (!current) throw new ApiFailure("nobody is signed in", { status: 401 });
  try {
    return await call(current.key, signal ? AbortSignal.any([signal, current.ended]) : current.ended);
  } catch (error) {
    endSessionOn(error);
    throw error;
  }
}
