import type { Clock, FaultMessage, Millis } from "#kernel";
import type { SequenceEvent } from "../contract.ts";
import type { StreamNews } from "./process-messages.ts";

/**
 * From one message with tokens to the next. Writing one and waking its reader takes a tenth of the shortest steps, and the reader takes
 * a core from the next step; nobody reads one by one what comes faster than this. Longer steps send after each.
 */
export const SEND_MS_MIN: Millis = 5;
/** The same for fewer events than these: waking the reader costs as much for one token as for those of many texts, and so it is dearest where one text runs. */
export const FEW_EVENTS = 8;
export const SEND_FEW_MS_MIN: Millis = 10;

export interface OutboxDeps {
  readonly clock: Clock;
  readonly send: (streams: readonly StreamNews[]) => void;
  /** Lets everything else have its turn, so that what belongs together is gathered first. */
  readonly nextTurn: () => Promise<void>;
}

/** Gathers what streams tell: all tokens of one step leave in one message, and those of several steps where steps are short. */
export class NewsOutbox {
  readonly #deps: OutboxDeps;
  #streams = new Map<number, StreamNews>();
  #scheduled = false;
  #urgent = false;
  #timerRuns = false;
  #sentMs: Millis = Number.NEGATIVE_INFINITY;
  #eventCount = 0;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  /** What is urgent, as a stream's first word is, waits for nothing but the end of the step. */
  event(stream: number, event: SequenceEvent, urgent: boolean): void {
    this.#newsOf(stream).events.push(event);
    this.#eventCount++;
    if (urgent) this.#hurry();
  }

  end(stream: number, fault: FaultMessage | undefined): void {
    this.#newsOf(stream).end = { fault };
    this.#hurry();
  }

  /** Sends what there is, even if nothing (the load goes with it): soon. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void this.#sendLater();
  }

  /** Between two steps, of which each holds the process for its whole length: sends what should not wait for the next one. */
  flushDue(): void {
    if (this.#urgent || this.#deps.clock.monotonic() >= this.#dueMs) this.flush();
  }

  flush(): void {
    if (!this.#scheduled) return;
    this.#scheduled = false;
    this.#urgent = false;
    const streams = [...this.#streams.values()];
    if (streams.length > 0) this.#sentMs = this.#deps.clock.monotonic();
    this.#streams = new Map();
    this.#eventCount = 0;
    this.#deps.send(streams);
  }

  get #dueMs(): Millis {
    return this.#sentMs + (this.#eventCount < FEW_EVENTS ? SEND_FEW_MS_MIN : SEND_MS_MIN);
  }

  #hurry(): void {
    this.#urgent = true;
    void this.#deps.nextTurn().then(() => this.flushDue());
  }

  /** In the next turn, or, where that is not due, when it is: no step may follow that would send it. */
  async #sendLater(): Promise<void> {
    const { clock, nextTurn } = this.#deps;
    await nextTurn();
    this.flushDue();
    if (this.#timerRuns) return;
    this.#timerRuns = true;
    while (this.#scheduled) {
      await clock.after(Math.max(0, this.#dueMs - clock.monotonic()));
      this.flushDue();
    }
    this.#timerRuns = false;
  }

  #newsOf(stream: number): StreamNews {
    this.schedule();
    const known = this.#streams.get(stream);
    if (known) return known;
    const news: StreamNews = { stream, events: [], end: undefined };
    this.#streams.set(stream, news);
    return news;
  }
}
