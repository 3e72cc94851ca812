import { type Clock, Fault, type Log, type Millis, SECOND } from "#kernel";
import type { Records } from "#state";
import { type RecordKind, type RecordOf, recordKey } from "./record-shapes.ts";
import { CatalogView } from "./view.ts";

/** After a lost watch. The view is at most this much older than the store once that answers again. */
const WATCH_AGAIN_MS: Millis = SECOND;
/** How often a change is tried over someone else's: two operators at once are plausible, more are a loop. */
const CHANGE_TRIES_MAX = 3;

/** The records of the cluster: read from memory, written to the store and to memory at once. */
export interface Catalog extends AsyncDisposable {
  readonly view: CatalogView;
  /** Undefined when there is one already. */
  create<K extends RecordKind>(kind: K, id: string, value: RecordOf<K>): Promise<RecordOf<K> | undefined>;
  /** Writes, whatever was there. */
  set<K extends RecordKind>(kind: K, id: string, value: RecordOf<K>): Promise<void>;
  /** Replaces a record by what `next` makes of it; undefined when there is none. */
  change<K extends RecordKind>(kind: K, id: string, next: (old: RecordOf<K>) => RecordOf<K>): Promise<RecordOf<K> | undefined>;
  /** Whether there was one. */
  remove(kind: RecordKind, id: string): Promise<boolean>;
}

/** Reads all records, then follows the store's changes. @throws Fault store_unreachable when the first reading fails. */
export async function startCatalog(deps: { readonly records: Records; readonly clock: Clock; readonly log: Log }): Promise<Catalog> {
  const view = new CatalogView();
  const stop = new AbortController();
  const take = (key: string, value: unknown, version: number) => {
    const applied = view.apply({ key, value, version });
    if (applied.kind === "malformed") deps.log.warn({ key, why: applied.why }, "a record does not fit its shape and counts as absent");
  };
  const first = Promise.withResolvers<void>();
  const followed = follow(deps, view, take, stop.signal, first);
  try {
    await first.promise;
  } catch (error) {
    stop.abort();
    await followed;
    throw error;
  }
  const dispose = () => {
    stop.abort();
    return followed;
  };
  return { view, ...writers(deps.records, view, take), [Symbol.asyncDispose]: dispose };
}

type Take = (key: string, value: unknown, version: number) => void;

/** Watches for ever. The watch starts before the listing, so that nothing falls between the two. */
async function follow(
  deps: { readonly records: Records; readonly clock: Clock; readonly log: Log },
  view: CatalogView,
  take: Take,
  stop: AbortSignal,
  first: PromiseWithResolvers<void>,
): Promise<void> {
  while (!stop.aborted) {
    const attempt = new AbortController();
    const signal = AbortSignal.any([stop, attempt.signal]);
    const changed = new Set<string>();
    const watched = (async () => {
      for await (const change of deps.records.watch("", signal)) {
        changed.add(change.key);
        take(change.key, change.value, change.version);
      }
    })();
    watched.catch(() => undefined); // Looked at below; this keeps an early failure from being unhandled until then.
    try {
      const listed = await deps.records.list("");
      const present = new Set(listed.map((record) => record.key));
      view.retain((key) => present.has(key) || changed.has(key));
      for (const record of listed) if (!changed.has(record.key)) take(record.key, record.value, record.version);
      first.resolve();
      await watched;
    } catch (error) {
      if (stop.aborted) return;
      first.reject(error);
      deps.log.warn({ err: error }, "the watch on the records broke; serving from memory");
    } finally {
      attempt.abort();
    }
    await deps.clock.after(WATCH_AGAIN_MS, stop).catch(() => undefined); // Only the stop ends the wait early.
  }
}

function writers(records: Records, view: CatalogView, take: Take): Pick<Catalog, "create" | "set" | "change" | "remove"> {
  const put = async (kind: RecordKind, id: string, value: unknown, version: number | undefined): Promise<boolean> => {
    const written = await records.putIf(recordKey(kind, id), value, version);
    if (written.kind === "put") take(recordKey(kind, id), value, written.version);
    return written.kind === "put";
  };
  /** The store's own present version, not the view's: what a writer bases itself on must be fresh. */
  const present = async (kind: RecordKind, id: string): Promise<number | undefined> => {
    const record = await records.get(recordKey(kind, id));
    if (record) take(record.key, record.value, record.version);
    return record?.version;
  };
  return {
    create: async (kind, id, value) => ((await put(kind, id, value, undefined)) ? value : undefined),
    async set(kind, id, value) {
      for (let tries = 0; tries < CHANGE_TRIES_MAX; tries++) {
        if (await put(kind, id, value, await present(kind, id))) return;
      }
      throw conflict(kind, id);
    },
    async change(kind, id, next) {
      for (let tries = 0; tries < CHANGE_TRIES_MAX; tries++) {
        const version = await present(kind, id);
        const old = version === undefined ? undefined : view.get(kind, id);
        if (!old) return undefined;
        const value = next(old);
        if (await put(kind, id, value, version)) return value;
      }
      throw conflict(kind, id);
    },
    async remove(kind, id) {
      for (let tries = 0; tries < CHANGE_TRIES_MAX; tries++) {
        const version = await present(kind, id);
        if (version === undefined) return false;
        const removed = await records.removeIf(recordKey(kind, id), version);
        if (removed.kind === "put") {
          take(recordKey(kind, id), undefined, removed.version);
          return true;
        }
      }
      throw conflict(kind, id);
    },
  };
}

function conflict(kind: RecordKind, id: string): Fault {
  return new Fault("version_conflict", `someone else keeps changing ${kind} ${id}`, { detail: { resource: id } });
}
