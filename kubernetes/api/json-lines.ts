import { type Bytes, Fault, MIB } from "#kernel";

/** etcd takes objects of 1.5 MiB. */
const LINE_BYTES_MAX: Bytes = 4 * MIB;

/** The JSON values of a body that has one per line. @throws Fault store_unreachable for what is no such body */
export async function* jsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    if (rest.length > LINE_BYTES_MAX) throw new Fault("store_unreachable", "the API server sends a line without end");
    for (const line of lines) if (line.trim() !== "") yield parse(line);
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new Fault("store_unreachable", "the API server sends what is not JSON", { cause });
  }
}
