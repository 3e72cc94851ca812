import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { type Bytes, Fault, MIB } from "#kernel";
import { FineTuningServiceService, type UploadFileRequest } from "#proto";
import type { Connection } from "./connection.ts";
import { formatBytes, printMessage } from "./output.ts";

const PIECE_BYTES: Bytes = MIB;
const FILE_ID = /^file-[0-9a-f]{24}$/;

/**
 * The id of a training file: one that is uploaded already, by its id or by its content, or a local one, which is uploaded.
 * @throws Fault file_missing
 */
export async function trainingFile({ channel, signal }: Connection, named: string, tenantId: string): Promise<string> {
  if (!existsSync(named)) {
    if (FILE_ID.test(named)) return named;
    throw new Fault("file_missing", `${named} is neither a file here nor the id of one that was uploaded`, { detail: { file: named } });
  }
  const sha256 = await sha256Of(named);
  const { files } = await channel.unary(FineTuningServiceService.listFiles, { purpose: "fine-tune" }, { signal });
  const known = tenantId === "" ? files.find((file) => file.sha256 === sha256) : undefined; // An operator sees everyone's.
  if (known) {
    printMessage(`${named} was uploaded before, as ${known.id}`);
    return known.id;
  }
  const { file } = await channel.clientStream(FineTuningServiceService.uploadFile, uploadParts(named, tenantId), { signal });
  printMessage(`uploaded ${named} (${formatBytes(file!.sizeBytes)}) as ${file!.id}`);
  return file!.id;
}

/** Of a file's content, in hex. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest("hex");
}

async function* uploadParts(path: string, tenantId: string): AsyncGenerator<UploadFileRequest> {
  await using file = await open(path);
  const header = { filename: basename(path), purpose: "fine-tune", expiresAtMs: 0, tenantId };
  yield { part: { $case: "header", value: header } };
  const pieces = file.createReadStream({ highWaterMark: PIECE_BYTES, autoClose: false });
  for await (const value of pieces as AsyncIterable<Buffer>) yield { part: { $case: "bytes", value } };
}
