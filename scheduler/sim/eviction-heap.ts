import { assert } from "#kernel";

/** What stands in a heap knows where, so that it can be moved from there. */
export interface HeapEntry {
  priority: number;
  /** Owned by the heap. */
  place: number;
}

/** Entries by priority, the lowest on top: tiers of tens of thousands are not searched one by one for whoever leaves first. */
export class EvictionHeap<E extends HeapEntry> {
  readonly #entries: E[] = [];

  get lowest(): E | undefined {
    return this.#entries[0];
  }

  add(entry: E): void {
    entry.place = this.#entries.length;
    this.#entries.push(entry);
    this.#rise(entry);
  }

  /** After its priority has changed. */
  moved(entry: E): void {
    this.#rise(entry);
    this.#sink(entry);
  }

  remove(entry: E): void {
    const last = this.#entries.pop()!;
    if (last === entry) return;
    assert(this.#entries[entry.place] === entry, "an entry is not where the heap left it");
    last.place = entry.place;
    this.#entries[last.place] = last;
    this.moved(last);
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** The lowest of those that may go; below one that may, nobody is looked at. */
  first(mayGo: (entry: E) => boolean): E | undefined {
    return this.#search(0, undefined, mayGo);
  }

  #search(place: number, best: E | undefined, mayGo: (entry: E) => boolean): E | undefined {
    const entry = this.#entries[place];
    if (!entry || (best && entry.priority >= best.priority)) return best;
    if (mayGo(entry)) return entry;
    const left = this.#search(2 * place + 1, best, mayGo);
    return this.#search(2 * place + 2, left, mayGo);
  }

  #rise(entry: E): void {
    while (entry.place > 0) {
      const parent = this.#entries[(entry.place - 1) >> 1]!;
      if (parent.priority <= entry.priority) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: E): void {
    for (;;) {
      const left = this.#entries[2 * entry.place + 1];
      const right = this.#entries[2 * entry.place + 2];
      const child = right && right.priority < left!.priority ? right : left;
      if (!child || child.priority >= entry.priority) return;
      this.#swap(child, entry);
    }
  }

  #swap(lower: E, upper: E): void {
    [lower.place, upper.place] = [upper.place, lower.place];
    this.#entries[lower.place] = lower;
    this.#entries[upper.place] = upper;
  }
}
