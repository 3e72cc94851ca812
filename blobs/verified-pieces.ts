import { createHash } from "node:crypto";
import { type Bytes, Fault } from "#kernel";
import type { ExpectedBlob } from "./contract.ts";

/**
 * Passes pieces on, one behind: the last leaves only when all of them together are what was stored, so that nobody takes
 * damaged bytes for a whole. Without expectations they pass as they are.
 * @throws Fault checksum_mismatch
 */
export async function* verifiedPieces(
  name: string,
  expected: ExpectedBlob | undefined,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (!expected) {
    yield* pieces;
    return;
  }
  const hash = createHash("sha256");
  let sizeBytes: Bytes = 0;
  let last: Uint8Array | undefined;
  for await (const piece of pieces) {
    if (last) yield last;
    last = piece;
    hash.update(piece);
    sizeBytes += piece.byteLength;
    if (sizeBytes > expected.sizeBytes) break; // Whatever follows, it is not what was stored.
  }
  if (sizeBytes !== expected.sizeBytes || hash.digest("hex") !== expected.sha256) throw notWhatWasStored(name);
  if (last) yield last;
}

export function notWhatWasStored(name: string): Fault {
  return new Fault("checksum_mismatch", `the bytes of ${name} are not what was stored`, { detail: { resource: name } });
}
