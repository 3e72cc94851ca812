/** The router's refusal in its own words, or what kept us from asking it. */
export class ApiFailure extends Error {
  /** HTTP's; 0 when no answer came. */
  readonly status: number;
  /** The router's stable word for the reason, as `rate_limit_exceeded`. */
  readonly code: string | undefined;
  /** The field of the request that was refused. */
  readonly field: string | undefined;
  readonly requestId: string | undefined;

  constructor(
    message: string,
    {
      status,
      code,
      field,
      requestId,
    }: { readonly status: number; readonly code?: string; readonly field?: string; readonly requestId?: string },
  ) {
    super(message);
    this.name = "ApiFailure";
    this.status = status;
    this.code = code;
    this.field = field;
    this.requestId = requestId;
  }
}

interface ErrorBody {
  readonly error?: { readonly message?: string; readonly code?: string | null; readonly param?: string | null };
}

/** Reads OpenAI's error object; a proxy's page, which is none, is told by its status. */
export async function failureOf(response: Response): Promise<ApiFailure> {
  const text = await response.text();
  const requestId = response.headers.get("x-request-id") ?? undefined;
  const { error } = jsonOf(text) ?? {};
  return (
    failure(error, response.status, requestId) ??
    new ApiFailure(`the answer was ${response.status} ${response.statusText}`, told(response.status, requestId))
  );
}

/** An error object within a stream. */
export function failureIn(data: unknown): ApiFailure | undefined {
  return failure((data as ErrorBody).error, 200, undefined);
}

/** `undefined` when it is only that nobody waits any more. */
export function failureFrom(error: unknown): ApiFailure | undefined {
  if (error instanceof ApiFailure) return error;
  if (error instanceof DOMException && error.name === "AbortError") return undefined;
  if (error instanceof DOMException && error.name === "TimeoutError")
    return new ApiFailure("the router took too long to answer", { status: 0 });
  if (error instanceof TypeError) return new ApiFailure("the router did not answer: is it running, and are you connected?", { status: 0 });
  throw error;
}

function failure(error: ErrorBody["error"], status: number, requestId: string | undefined): ApiFailure | undefined {
  if (error?.message === undefined) return undefined;
  return new ApiFailure(error.message, {
    ...told(status, requestId),
    ...(error.code && { code: error.code }),
    ...(error.param && { field: error.param }),
  });
}

function told(status: number, requestId: string | undefined) {
  return { status, ...(requestId !== undefined && { requestId }) };
}

function jsonOf(text: string): ErrorBody | undefined {
  try {
    return JSON.parse(text) as ErrorBody;
  } catch {
    return undefined; // Not the router's.
  }
}
