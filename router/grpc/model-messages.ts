import type { Alias, Base, Delta, DownloadDeltaResponse } from "#proto";
import type { DeltaPiece } from "../blobs/index.ts";
import { type AliasRecord, aliasName, type BaseRecord, type CatalogView, type DeltaRecord, deltaName } from "../catalog/index.ts";

/** Records as the wire says them. */

export function baseMessage({ createdAt: _, ...base }: BaseRecord): Base {
  return base;
}

export function deltaMessage(delta: DeltaRecord): Delta {
  return {
    name: deltaName(delta),
    reference: { digest: delta.digest, tenantId: delta.tenantId, baseDigest: delta.baseDigest },
    suffix: delta.suffix,
    rank: delta.rank,
    sizeBytes: delta.sizeBytes,
    targets: delta.targets,
    createdAtMs: delta.createdAt,
    pinned: delta.pinned,
    base: delta.baseName,
  };
}

/** A target whose delta is gone keeps its digest for a name. */
export function aliasMessage(view: CatalogView, alias: AliasRecord): Alias {
  const targets = (these: AliasRecord["targets"]) =>
    these.map(({ delta: digest, weight }) => {
      const delta = view.get("delta", digest);
      return { delta: delta ? deltaName(delta) : digest, weight };
    });
  return {
    name: aliasName(alias),
    targets: targets(alias.targets),
    previous: alias.previous.map((before) => ({ targets: targets(before.targets), untilMs: before.until })),
  };
}

export function pieceMessage({ file, bytes }: DeltaPiece): DownloadDeltaResponse {
  return { part: { $case: file, value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) } };
}
