import { randomUUID } from "node:crypto";
import type { Kind, StoredObject } from "./kind.ts";
import { kindKey } from "./kind.ts";
import { conflict, exists, expired, invalid, notFound } from "./status-error.ts";

export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly kind: string;
  readonly namespace: string;
  readonly object: StoredObject;
  readonly revision: number;
}

const DNS_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Set by the server; what a client sends of them is ignored. */
const SERVER_FIELDS = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"];

/** What etcd and the registry behind an API server do: versions for every write, conflicts, finalizers, an event log that is forgotten. */
export class ObjectStore {
  #revision = 1000;
  /** Everything up to here is forgotten. */
  #compacted = 0;
  readonly #objects = new Map<string, StoredObject>();
  #log: StoreEvent[] = [];
  readonly #listeners = new Set<(event: StoreEvent) => void>();

  get revision(): number {
    return this.#revision;
  }

  /** The oldest version from which a watch can go on. */
  get oldest(): number {
    return this.#compacted;
  }

  get(kind: Kind, namespace: string, name: string): StoredObject {
    const found = this.#objects.get(keyOf(kind, namespace, name));
    if (!found) throw notFound(`${kind.plural} "${name}"`);
    return found;
  }

  list(kind: Kind, namespace: string): readonly StoredObject[] {
    const prefix = keyOf(kind, namespace, "");
    return [...this.#objects]
      .filter(([key]) => key.startsWith(prefix))
      .map(([, object]) => object)
      .sort(byName);
  }

  create(kind: Kind, namespace: string, sent: StoredObject): StoredObject {
    const { name } = sent.metadata;
    if (typeof name !== "string" || name.length > 253 || !DNS_NAME.test(name)) throw invalid(kind.kind, `metadata.name: "${name}"`);
    const key = keyOf(kind, namespace, name);
    if (this.#objects.has(key)) throw exists(`${kind.plural} "${name}"`);
    const { status: _, ...bare } = sent;
    const admitted = kind.admit((kind.statusSubresource ? bare : sent) as StoredObject, undefined);
    const metadata = {
      ...withoutServerFields(admitted.metadata),
      name,
      ...(kind.namespaced ? { namespace } : {}),
      uid: randomUUID(),
      creationTimestamp: seconds(),
      generation: 1,
    };
    return this.#put("ADDED", kind, namespace, { ...admitted, metadata });
  }

  replace(kind: Kind, namespace: string, name: string, sent: StoredObject, part: "object" | "status"): StoredObject {
    const old = this.get(kind, namespace, name);
    const { resourceVersion, uid } = sent.metadata;
    if (resourceVersion === undefined) throw invalid(`${kind.kind} "${name}"`, "metadata.resourceVersion: must be specified for an update");
    if (resourceVersion !== old.metadata["resourceVersion"]) throw conflict(`${kind.plural} "${name}"`);
    if (uid !== undefined && uid !== old.metadata["uid"]) throw conflict(`${kind.plural} "${name}"`);
    const next = kind.admit(part === "status" ? { ...old, status: sent["status"] } : this.#replacement(kind, old, sent), old);
    if (sameContent(old, next)) return old; // Nothing new: no version, and no event.
    if (next.metadata["deletionTimestamp"] !== undefined && finalizers(next).length === 0) return this.#drop(kind, namespace, next);
    return this.#put("MODIFIED", kind, namespace, next);
  }

  /** What a delete call answers: the object that now waits for its finalizers, or that is gone. */
  remove(kind: Kind, namespace: string, name: string): StoredObject {
    const old = this.get(kind, namespace, name);
    if (finalizers(old).length === 0) return this.#drop(kind, namespace, old);
    if (old.metadata["deletionTimestamp"] !== undefined) return old;
    const generation = (old.metadata["generation"] as number) + 1;
    const metadata = { ...old.metadata, deletionTimestamp: seconds(), deletionGracePeriodSeconds: 0, generation };
    return this.#put("MODIFIED", kind, namespace, { ...old, metadata });
  }

  /** Everything after `revision` of one kind, then what happens. Returns what ends it. @throws StatusError 410 */
  follow(kind: Kind, namespace: string, revision: number, listener: (event: StoreEvent) => void): () => void {
    if (revision < this.#compacted) throw expired(revision, this.#compacted);
    const wanted = (event: StoreEvent) => event.kind === kindKey(kind) && event.namespace === namespace;
    for (const event of this.#log) if (event.revision > revision && wanted(event)) listener(event);
    const listening = (event: StoreEvent) => {
      if (wanted(event)) listener(event);
    };
    this.#listeners.add(listening);
    return () => this.#listeners.delete(listening);
  }

  /** Forgets what happened: who asks for it gets a 410. */
  compact(): void {
    this.#compacted = ++this.#revision;
    this.#log = [];
  }

  /** All but the status and what only the server sets. */
  #replacement(kind: Kind, old: StoredObject, sent: StoredObject): StoredObject {
    const kept = Object.fromEntries(
      SERVER_FIELDS.filter((field) => old.metadata[field] !== undefined).map((field) => [field, old.metadata[field]]),
    );
    const metadata = { ...withoutServerFields(sent.metadata), name: sent.metadata.name, namespace: old.metadata["namespace"], ...kept };
    const { status: _, ...bare } = sent;
    const status = kind.statusSubresource ? old["status"] : sent["status"];
    const next = { ...bare, metadata, ...(status === undefined ? {} : { status }) } as StoredObject;
    const { metadata: __, status: ___, ...oldRest } = old;
    const { metadata: ____, status: _____, ...nextRest } = next;
    if (JSON.stringify(sorted(oldRest)) === JSON.stringify(sorted(nextRest))) return next;
    return { ...next, metadata: { ...metadata, generation: (old.metadata["generation"] as number) + 1 } };
  }

  #put(type: "ADDED" | "MODIFIED", kind: Kind, namespace: string, object: StoredObject): StoredObject {
    const stored = this.#stamped(object);
    this.#objects.set(keyOf(kind, namespace, object.metadata.name), stored);
    this.#tell(type, kind, namespace, stored);
    return stored;
  }

  #drop(kind: Kind, namespace: string, object: StoredObject): StoredObject {
    const last = this.#stamped(object);
    this.#objects.delete(keyOf(kind, namespace, object.metadata.name));
    this.#tell("DELETED", kind, namespace, last);
    return last;
  }

  #stamped(object: StoredObject): StoredObject {
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#revision) } };
  }

  #tell(type: StoreEvent["type"], kind: Kind, namespace: string, object: StoredObject): void {
    const event: StoreEvent = { type, kind: kindKey(kind), namespace, object, revision: this.#revision };
    this.#log.push(event);
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function keyOf(kind: Kind, namespace: string, name: string): string {
  return `${kindKey(kind)} ${namespace} ${name}`;
}

function byName(one: StoredObject, other: StoredObject): number {
  return one.metadata.name < other.metadata.name ? -1 : 1;
}

function finalizers(object: StoredObject): readonly unknown[] {
  return (object.metadata["finalizers"] as readonly unknown[] | undefined) ?? [];
}

function withoutServerFields(metadata: StoredObject["metadata"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metadata).filter(([field]) => !SERVER_FIELDS.includes(field)));
}

function sameContent(one: StoredObject, other: StoredObject): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, field]) => [key, sorted(field)]));
}

function seconds(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}
