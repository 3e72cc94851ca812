import { createHash } from "node:crypto";
import { openRegularFile } from "../files/index.ts";
import { checkFinite, forEachPiece, type SafetensorsHeader } from "../safetensors/index.ts";
import type { TensorLocation } from "./contract.ts";

/**
 * Reads a weight file once, from start to end: gives its SHA-256 (hex) and checks the values of those tensors that are
 * computed with. Fault weights_not_finite names the first tensor with NaN or an infinity.
 */
export async function scanWeightFile(header: SafetensorsHeader, used: ReadonlyMap<string, TensorLocation>): Promise<string> {
  const hash = createHash("sha256");
  const { handle } = await openRegularFile(header.file, "follow");
  try {
    const start = { file: header.file, offsetBytes: 0, sizeBytes: header.dataOffsetBytes };
    await forEachPiece(handle, start, (piece) => hash.update(piece));
    for (const tensor of header.tensors.values()) {
      const location = used.get(tensor.name);
      await forEachPiece(handle, tensor, (piece, offsetBytes) => {
        hash.update(piece);
        if (location) checkFinite(location, piece, offsetBytes);
      });
    }
    return hash.digest("hex");
  } finally {
    await handle.close();
  }
}

/** Whether two tensors hold the same bytes. */
export async function sameContent(one: TensorLocation, other: TensorLocation): Promise<boolean> {
  if (one.type !== other.type || one.sizeBytes !== other.sizeBytes) return false;
  const [oneHash, otherHash] = await Promise.all([contentHash(one), contentHash(other)]);
  return oneHash === otherHash;
}

async function contentHash(tensor: TensorLocation): Promise<string> {
  const hash = createHash("sha256");
  const { handle } = await openRegularFile(tensor.file, "follow");
  try {
    await forEachPiece(handle, tensor, (piece) => hash.update(piece));
    return hash.digest("hex");
  } finally {
    await handle.close();
  }
}
