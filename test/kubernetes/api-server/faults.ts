/** What goes wrong on purpose between a client and the test server. Everything is well until a test says otherwise. */
export class Faults {
  /** Added to every answer. */
  delayMs = 0;
  /** Requests are taken and never answered: a partition. */
  silent = false;
  /** The next so many watches are taken, and then say nothing and do not end. */
  stallNextWatches = 0;
  /** The next so many requests, watches included, are answered with `refusalStatus`. */
  refuseNext = 0;
  refusalStatus = 500;
  /** Watches begin with a 410 as their HTTP status and not as their first event: servers do both. */
  expireByStatus = false;
  /** Watches send no bookmarks, as servers may. */
  noBookmarks = false;
  readonly #dropping = new Set<() => void>();

  /** Cuts the connection of every watch that is open. */
  dropWatches(): void {
    for (const drop of [...this.#dropping]) drop();
  }

  onDrop(drop: () => void): () => void {
    this.#dropping.add(drop);
    return () => this.#dropping.delete(drop);
  }
}
