import { ask } from "./client.ts";
import { failureIn } from "./failure.ts";

/** Posts, and gives what the router streams: the data of each server-sent event until `[DONE]`. @throws ApiFailure */
export async function* streamed<T>(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<T> {
  const response = await ask("POST", path, { body, signal });
  for await (const data of eventsOf(response.body!)) {
    if (data === "[DONE]") return;
    const value = JSON.parse(data) as T;
    const failure = failureIn(value);
    if (failure) throw failure;
    yield value;
  }
}

/** Only what our router sends: one `data:` line per event, comments between them. */
export async function* eventsOf(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const lines = (rest + next.value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith("data: ")) yield line.slice("data: ".length);
    }
  } finally {
    await reader.cancel().catch(() => undefined); // It was cut: nothing is left to cancel.
  }
}
