import type { TenantId } from "#kernel";
import type { RecordChange } from "#state";
import { deltaName } from "./model-name.ts";
import { type DeltaRecord, parseRecordKey, RECORD_SHAPES, type RecordKind, type RecordOf } from "./record-shapes.ts";

interface Entry {
  readonly value: unknown;
  readonly version: number;
}

/** What became of a change: `ignored` when it is older than what is known, or not of our kinds. */
export type Applied = { readonly kind: "applied" } | { readonly kind: "ignored" } | { readonly kind: "malformed"; readonly why: string };

/**
 * All records in memory, so that no request waits for the store. A record that does not fit its shape counts as
 * absent: an unreadable key opens nothing.
 */
export class CatalogView {
  readonly #entries = new Map<RecordKind, Map<string, Entry>>();
  /** Of the kinds that belong to a tenant: ids by tenant. */
  readonly #owned = new Map<RecordKind, Map<TenantId, Set<string>>>();
  readonly #deltaNames = new Map<string, string>();

  get<K extends RecordKind>(kind: K, id: string): RecordOf<K> | undefined {
    return this.#table(kind).get(id)?.value as RecordOf<K> | undefined;
  }

  *all<K extends RecordKind>(kind: K): Generator<RecordOf<K>> {
    for (const entry of this.#table(kind).values()) yield entry.value as RecordOf<K>;
  }

  /** One tenant's records of a kind, without a look at anyone else's. */
  *of<K extends "project" | "key" | "delta" | "alias" | "file">(kind: K, tenantId: TenantId): Generator<RecordOf<K>> {
    for (const id of this.#owned.get(kind)?.get(tenantId) ?? []) yield this.get(kind, id)!;
  }

  /** By full name. */
  deltaNamed(name: string): DeltaRecord | undefined {
    const digest = this.#deltaNames.get(name);
    return digest === undefined ? undefined : this.get("delta", digest);
  }

  /** Takes a change in; `value` undefined removes. */
  apply(change: RecordChange): Applied {
    const place = parseRecordKey(change.key);
    if (!place) return { kind: "ignored" };
    const known = this.#table(place.kind).get(place.id);
    if (known && change.version < known.version) return { kind: "ignored" };
    this.#forget(place.kind, place.id);
    if (change.value === undefined) return { kind: "applied" };
    const read = RECORD_SHAPES[place.kind].safeParse(change.value);
    if (!read.success)
      return { kind: "malformed", why: read.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ") };
    this.#keep(place.kind, place.id, { value: read.data, version: change.version });
    return { kind: "applied" };
  }

  /** Drops every record whose store key `keep` refuses. */
  retain(keep: (key: string) => boolean): void {
    for (const [kind, table] of this.#entries) {
      for (const id of [...table.keys()]) if (!keep(`${kind}/${id}`)) this.#forget(kind, id);
    }
  }

  #table(kind: RecordKind): Map<string, Entry> {
    const table = this.#entries.get(kind) ?? new Map<string, Entry>();
    this.#entries.set(kind, table);
    return table;
  }

  #keep(kind: RecordKind, id: string, entry: Entry): void {
    this.#table(kind).set(id, entry);
    const owner = ownerOf(entry.value);
    if (owner !== undefined) {
      const owned = this.#owned.get(kind) ?? new Map<TenantId, Set<string>>();
      this.#owned.set(kind, owned.set(owner, (owned.get(owner) ?? new Set()).add(id)));
    }
    if (kind === "delta") this.#deltaNames.set(deltaName(entry.value as DeltaRecord), id);
  }

  #forget(kind: RecordKind, id: string): void {
    const entry = this.#table(kind).get(id);
    if (!entry) return;
    this.#table(kind).delete(id);
    const owner = ownerOf(entry.value);
    if (owner !== undefined) this.#owned.get(kind)?.get(owner)?.delete(id);
    if (kind === "delta") this.#deltaNames.delete(deltaName(entry.value as DeltaRecord));
  }
}

function ownerOf(value: unknown): TenantId | undefined {
  return (value as { readonly tenantId?: TenantId }).tenantId;
}
