import { type Clock, Fault, type Millis, type Random, toFault } from "#kernel";
import type { Journal } from "#state";
import { OpenBook } from "./open-book.ts";

export interface BookWriterDeps {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  /** Told whenever somebody else wrote in a book first. */
  readonly onConflict?: () => void;
}

/**
 * What one writer does to a book. It must depend on the book alone and change nothing else: when somebody else wrote
 * first, it is done again on what the book then says.
 */
export type Apply<T> = (book: OpenBook) => T;

/** Keys read in one round. More would hold up the thread that also streams tokens: a round of so many claims takes some ten milliseconds. */
export const ROUND_KEYS_MAX = 500;
/** Each conflict means that another writer got through; so many in a row mean that something is wrong. */
const TRIES_MAX = 12;
/** The wait before a third try is up to so long, and doubles from then on. The second try comes at once. */
const BACK_OFF_MS: Millis = 2;
const BACK_OFF_MS_MAX: Millis = 250;

interface Waiting {
  readonly book: string;
  readonly keys: readonly string[];
  /** Does the work on an open book; gives what tells the caller once it is durable. */
  readonly apply: (book: OpenBook) => () => void;
  readonly failed: (error: unknown) => void;
}

/** A try at one book: what to commit, and whom to tell. */
interface Draft {
  readonly book: OpenBook;
  readonly work: readonly Waiting[];
  readonly told: readonly (() => void)[];
}

/**
 * Writes in books: read, compute, and commit on the condition that nobody else has meanwhile. One round at a time, and
 * everything that comes while one is under way goes out with the next, so that the store syncs once for all of it.
 */
export class BookWriter {
  readonly #deps: BookWriterDeps;
  readonly #waiting: Waiting[] = [];
  #writing = false;

  constructor(deps: BookWriterDeps) {
    this.#deps = deps;
  }

  /**
   * Durable when it resolves, with what `apply` gave. `keys` are those that it reads.
   *
   * @throws Fault version_conflict when others keep writing in the book; whatever the store throws
   */
  write<T>(book: string, keys: readonly string[], apply: Apply<T>): Promise<T> {
    return new Promise((resolve, failed) => {
      const work = (open: OpenBook) => {
        const result = apply(open);
        return () => resolve(result);
      };
      this.#waiting.push({ book, keys, apply: work, failed });
      if (!this.#writing) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const round = this.#nextRound();
      await this.#writeRound(round);
      // A store in this process never gives way by itself; a full round means that many more may follow.
      const full = round.reduce((keys, work) => keys + work.keys.length, 0) >= ROUND_KEYS_MAX;
      if (full && this.#waiting.length > 0) await this.#deps.clock.after(0);
    }
    this.#writing = false;
  }

  async #writeRound(round: readonly Waiting[]): Promise<void> {
    try {
      await this.#writeBooks(Map.groupBy(round, ({ book }) => book));
    } catch (error) {
      if (round.length > 1 && toFault(error).retry.kind === "never") {
        for (const work of round) await this.#writeRound([work]); // What is refused for good must not take the others with it.
      } else {
        for (const { failed } of round) failed(error); // Those that were told of success before stay told.
      }
    }
  }

  #nextRound(): readonly Waiting[] {
    let keys = 0;
    let count = 0;
    for (const work of this.#waiting) {
      keys += work.keys.length;
      if (count > 0 && keys > ROUND_KEYS_MAX) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #writeBooks(books: ReadonlyMap<string, readonly Waiting[]>): Promise<void> {
    let open = books;
    for (let tries = 1; open.size > 0; tries++) {
      if (tries > TRIES_MAX)
        throw new Fault("version_conflict", `others keep writing in the books ${[...open.keys()].slice(0, 3).join(", ")}`);
      if (tries > 2) await this.#deps.clock.after(this.#deps.random.float() * Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS * 2 ** (tries - 3)));
      open = await this.#try(open);
    }
  }

  /** Gives what somebody else was faster at. */
  async #try(books: ReadonlyMap<string, readonly Waiting[]>): Promise<ReadonlyMap<string, readonly Waiting[]>> {
    const asks = [...books].map(([book, work]) => ({ book, keys: [...new Set(work.flatMap(({ keys }) => keys))] }));
    const pages = await this.#deps.journal.read(asks);
    const drafts: Draft[] = [];
    for (const page of pages) {
      const book = new OpenBook(page);
      const work = books.get(page.book)!;
      drafts.push({ book, work, told: work.map(({ apply }) => apply(book)) });
    }
    const changes = drafts.map((draft) => draft.book.change());
    const outcomes = await this.#commit(changes.filter((change) => change !== undefined));
    const conflicts = new Map<string, readonly Waiting[]>();
    for (const { book, work, told } of drafts) {
      if (outcomes.get(book.name) !== "conflict") {
        for (const tell of told) tell();
        continue;
      }
      this.#deps.onConflict?.();
      conflicts.set(book.name, work);
    }
    return conflicts;
  }

  /** By book; a book with nothing to write has no outcome. */
  async #commit(changes: Parameters<Journal["commit"]>[0]): Promise<ReadonlyMap<string, "committed" | "conflict">> {
    if (changes.length === 0) return new Map();
    const outcomes = await this.#deps.journal.commit(changes);
    return new Map(changes.map(({ book }, index) => [book, outcomes[index]!.kind]));
  }
}
