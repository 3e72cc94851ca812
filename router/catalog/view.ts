import { shapeWords, type TenantId } from "#kernel";
import type { RecordChange } from "#state";
import { deltaName } from "./model-name.ts";
import { type DeltaRecord, parseRecordKey, RECORD_SHAPES, type RecordKind, type RecordOf, recordKey } from "./record-shapes.ts";

interface Entry {
  readonly value: unknown;
  readonly version: number;
}

/** What became of a change: `ignored` when it is older than what is known, or not of our kinds. */
export type Applied = { readonly kind: "applied" } | { readonly kind: "ignored" } | { readonly kind: "malformed"; readonly why: string };

/** Kinds whose records belong to a tenant. */
export type OwnedKind = "project" | "key" | "delta" | "alias" | "file" | "job";

/** Told of a record that came, changed or went, when the view shows it so. */
export type ChangeListener = (kind: RecordKind, id: string) => void;

/**
 * All records in memory, so that no request waits for the store. A record that does not fit its shape counts as
 * absent: an unreadable key opens nothing.
 */
export class CatalogView {
  readonly #entries = new Map<RecordKind, Map<string, Entry>>();
  /** Of the kinds that belong to a tenant: ids by tenant. */
  readonly #owned = new Map<RecordKind, Map<TenantId, Set<string>>>();
  /** Of deltas, by full name. */
  readonly #deltaNames = new Map<string, { readonly id: string; readonly tenantId: TenantId }>();
  readonly #listeners = new Set<ChangeListener>();

  /** Gives what ends it. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get<K extends RecordKind>(kind: K, id: string): RecordOf<K> | undefined {
    return this.#table(kind).get(id)?.value as RecordOf<K> | undefined;
  }

  *all<K extends RecordKind>(kind: K): Generator<RecordOf<K>> {
    for (const entry of this.#table(kind).values()) yield entry.value as RecordOf<K>;
  }

  /** One tenant's records of a kind, without a look at anyone else's. */
  *of<K extends OwnedKind>(kind: K, tenantId: TenantId): Generator<RecordOf<K>> {
    for (const id of this.#owned.get(kind)?.get(tenantId) ?? []) yield this.get(kind, id)!;
  }

  /** A record of the tenant's own: someone else's is not there, before anything else is done with it. An operator (undefined) sees all. */
  own<K extends OwnedKind>(kind: K, tenantId: TenantId | undefined, id: string): RecordOf<K> | undefined {
    const found = this.get(kind, id);
    return tenantId === undefined || found?.tenantId === tenantId ? found : undefined;
  }

  /** By full name, as {@link own} sees it. */
  deltaNamed(tenantId: TenantId | undefined, name: string): DeltaRecord | undefined {
    const found = this.#deltaNames.get(name);
    return found && (tenantId === undefined || found.tenantId === tenantId) ? this.get("delta", found.id) : undefined;
  }

  /** Takes a change in; `value` undefined removes. */
  apply(change: RecordChange): Applied {
    const place = parseRecordKey(change.key);
    if (!place) return { kind: "ignored" };
    const known = this.#table(place.kind).get(place.id);
    if (known && change.version < known.version) return { kind: "ignored" };
    this.#forget(place.kind, place.id);
    const read = change.value === undefined ? undefined : RECORD_SHAPES[place.kind].safeParse(change.value, { error: shapeWords });
    if (read?.success) this.#keep(place.kind, place.id, { value: read.data, version: change.version });
    this.#tell(place.kind, place.id);
    if (read === undefined || read.success) return { kind: "applied" };
    return { kind: "malformed", why: read.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ") };
  }

  /** Drops every record whose store key `keep` refuses. */
  retain(keep: (key: string) => boolean): void {
    for (const [kind, table] of this.#entries) {
      for (const id of [...table.keys()]) {
        if (keep(recordKey(kind, id))) continue;
        this.#forget(kind, id);
        this.#tell(kind, id);
      }
    }
  }

  #tell(kind: RecordKind, id: string): void {
    for (const listener of this.#listeners) listener(kind, id);
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
    if (kind === "delta") this.#deltaNames.set(deltaName(entry.value as DeltaRecord), { id, tenantId: owner! });
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
