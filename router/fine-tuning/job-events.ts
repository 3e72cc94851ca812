import type { Clock, Millis, Random } from "#kernel";
import type { Journal } from "#state";
import { BookWriter } from "../ledger/index.ts";

export type EventLevel = "info" | "warn" | "error";

/** What is told of a job. */
export interface JobNote {
  readonly level: EventLevel;
  readonly message: string;
  /** Of one step, by the names of the result file. */
  readonly metrics?: Readonly<Record<string, number>>;
}

export interface JobEvent extends JobNote {
  /** From 1. */
  readonly position: number;
  readonly at: Millis;
}

/** Values of a job's book. */
const REPORT = "report";
const STEP = "step";
const PAGE_LINES = 500;

/** Which report some notes came with: told again, they are known by it. */
export interface ReportMark {
  readonly epoch: number;
  readonly sequence: number;
}

/**
 * The events of jobs, each in a book of the journal: append-only, so that a position says the same for ever. A step's
 * metrics stand there once, however often a trainer repeats the step after a crash.
 */
export class JobEvents {
  readonly #deps: { readonly journal: Journal; readonly clock: Clock };
  readonly #writer: BookWriter;

  constructor(deps: { readonly journal: Journal; readonly clock: Clock; readonly random: Random }) {
    this.#deps = deps;
    this.#writer = new BookWriter(deps);
  }

  /** Durable when it resolves. A report's notes are kept once. */
  async append(jobId: string, notes: readonly JobNote[], mark?: ReportMark): Promise<void> {
    if (notes.length === 0) return;
    const at = this.#deps.clock.now();
    await this.#writer.write(bookOf(jobId), [REPORT, STEP], (book) => {
      const told = mark && `${mark.epoch} ${mark.sequence}`;
      if (told !== undefined && isTold(book.value(REPORT), mark!)) return;
      let step = Number(book.value(STEP) ?? 0);
      for (const { level, message, metrics } of notes) {
        const own = metrics?.["step"];
        if (own !== undefined && own <= step) continue;
        step = own ?? step;
        book.append(JSON.stringify({ at, level, message, ...(metrics && { metrics }) }));
      }
      book.setValue(STEP, String(step));
      if (told !== undefined) book.setValue(REPORT, told);
    });
  }

  /** In order, those behind a position, at most `count`. */
  async read(jobId: string, after: number, count: number): Promise<readonly JobEvent[]> {
    const lines = await this.#deps.journal.lines(bookOf(jobId), after + 1, count);
    return lines.map(({ position, text }) => ({ position, ...(JSON.parse(text) as Omit<JobEvent, "position">) }));
  }

  /** How many there are. */
  async count(jobId: string): Promise<number> {
    const [page] = await this.#deps.journal.read([{ book: bookOf(jobId), keys: [] }]);
    return page!.head.position;
  }

  async *all(jobId: string): AsyncGenerator<JobEvent> {
    for (let after = 0; ; ) {
      const page = await this.read(jobId, after, PAGE_LINES);
      if (page.length === 0) return;
      yield* page;
      after = page.at(-1)!.position;
    }
  }
}

/** No tenant's name has a colon, so it is no book of the ledger. */
function bookOf(jobId: string): string {
  return `job:${jobId}`;
}

function isTold(last: string | undefined, { epoch, sequence }: ReportMark): boolean {
  const [lastEpoch = 0, lastSequence = 0] = last?.split(" ").map(Number) ?? [];
  return epoch < lastEpoch || (epoch === lastEpoch && sequence <= lastSequence);
}
