import { failureOf } from "./failure.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** JSON, or a form that is sent as one. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks the router with a key. @throws ApiFailure for a refusal, TypeError without connection, AbortError when nobody waits */
export async function send(key: string, method: Method, path: string, { signal, body, headers }: RequestOptions = {}): Promise<Response> {
  const form = body instanceof FormData;
  const response = await fetch(path, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body !== undefined && !form && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: form ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
    // Nothing of ours is told to anybody else, and nothing of the browser's to the router.
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
    referrerPolicy: "no-referrer",
  });
  if (!response.ok) throw await failureOf(response);
  return response;
}

export async function request<T>(key: string, method: Method, path: string, options?: RequestOptions): Promise<T> {
  const response = await send(key, method, path, options);
  return (await response.json()) as T;
}
