import { createReadStream } from "node:fs";
import { join } from "node:path";
import { type Bytes, Fault, KIB } from "#kernel";
import type { FetchDeltaResponse } from "#proto";
import { CONFIG_FILE, type StoredDelta, WEIGHTS_FILE } from "./delta-folder.ts";

/** Of a piece: as of an upload. */
const PIECE_BYTES: Bytes = 256 * KIB;

/** A delta's two files in pieces. @throws Fault delta_unavailable when the folder turns out to be damaged */
export async function* storedParts({ directory }: StoredDelta): AsyncGenerator<FetchDeltaResponse> {
  try {
    for await (const value of pieces(directory, CONFIG_FILE)) yield { part: { $case: "config", value } };
    for await (const value of pieces(directory, WEIGHTS_FILE)) yield { part: { $case: "weights", value } };
  } catch (cause) {
    throw new Fault("delta_unavailable", "the copy on this node can't be read", { cause });
  }
}

function pieces(directory: string, file: string): AsyncIterable<Buffer> {
  return createReadStream(join(directory, file), { highWaterMark: PIECE_BYTES });
}
