import { createReadStream } from "node:fs";
import { join } from "node:path";
import { type Bytes, Fault, MIB } from "#kernel";
import type { PushDeltaHeader, PushDeltaRequest } from "#proto";

const PIECE_BYTES: Bytes = MIB;

/** A PEFT folder as the messages of PushDelta: the header, then both files in pieces. */
export async function* pushParts(directory: string, header: PushDeltaHeader): AsyncGenerator<PushDeltaRequest> {
  yield { part: { $case: "header", value: header } };
  for await (const value of pieces(join(directory, "adapter_config.json"))) yield { part: { $case: "config", value } };
  for await (const value of pieces(join(directory, "adapter_model.safetensors"))) yield { part: { $case: "weights", value } };
}

async function* pieces(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new Fault("file_missing", `${file} cannot be read: is the folder a PEFT folder in safetensors format?`, {
      detail: { file },
      cause,
    });
  }
}
