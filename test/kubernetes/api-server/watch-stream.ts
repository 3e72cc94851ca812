import type { ServerResponse } from "node:http";
import type { Faults } from "./faults.ts";
import type { Kind, StoredObject } from "./kind.ts";
import type { ObjectStore } from "./object-store.ts";
import { StatusError } from "./status-error.ts";

export interface WatchAsk {
  readonly kind: Kind;
  readonly namespace: string;
  readonly revision: number;
  readonly timeoutMs: number;
  readonly bookmarks: boolean;
  readonly selected: (object: StoredObject) => boolean;
}

/** How often a quiet watch gets a bookmark. A real server takes a minute; tests have none. */
const BOOKMARK_MS = 200;
/** A real server sends its last bookmark two seconds before the end. */
const LAST_BOOKMARK_MS = 50;

/** One watch over HTTP: a JSON object per line, until the client goes, its time is over or the connection is dropped. */
export function streamWatch(store: ObjectStore, faults: Faults, ask: WatchAsk, response: ServerResponse): void {
  const { kind, namespace } = ask;
  const stalled = faults.stallNextWatches > 0;
  if (stalled) faults.stallNextWatches--;
  const send = (type: string, object: unknown) => {
    if (!stalled) response.write(`${JSON.stringify({ type, object })}\n`);
  };
  const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
  const bookmark = () => {
    const metadata = { resourceVersion: String(store.revision), creationTimestamp: null };
    if (ask.bookmarks && !faults.noBookmarks) send("BOOKMARK", { kind: kind.kind, apiVersion, metadata });
  };

  response.writeHead(200, { "content-type": "application/json", "transfer-encoding": "chunked" });
  response.flushHeaders();
  let unfollow: (() => void) | undefined;
  try {
    unfollow = store.follow(kind, namespace, ask.revision, ({ type, object }) => {
      if (ask.selected(object)) send(type, { apiVersion, kind: kind.kind, ...object });
    });
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    send("ERROR", error);
    response.end();
    return;
  }
  const bookmarks = setInterval(bookmark, BOOKMARK_MS);
  const last = setTimeout(bookmark, Math.max(0, ask.timeoutMs - LAST_BOOKMARK_MS));
  const end = setTimeout(() => {
    if (!stalled) response.end();
  }, ask.timeoutMs);
  const forget = faults.onDrop(() => response.destroy());
  response.once("close", () => {
    unfollow();
    forget();
    clearInterval(bookmarks);
    clearTimeout(last);
    clearTimeout(end);
  });
}
