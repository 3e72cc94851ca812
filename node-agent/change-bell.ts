/** Rings when something about this node changed that routers should soon know. */
export class ChangeBell {
  readonly #listeners = new Set<() => void>();

  /** Returns what ends it. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ring(): void {
    for (const listener of this.#listeners) listener();
  }
}
