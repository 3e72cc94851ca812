/**
 * A broken invariant ends what it was found in: a request, which the doors answer with `bug`, or else the process.
 * Use it for programming errors only; bad input is a {@link Fault}, an expected miss is a value.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Marks the end of a closed union: the compiler proves that nothing arrives here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${JSON.stringify(value)}`);
}

/** Thrown by {@link assert} only. Nothing but the doors may catch it and go on, with the next request. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}
