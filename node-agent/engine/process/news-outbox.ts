import type { FaultMessage } from "#kernel";
import type { SequenceEvent } from "../contract.ts";
import type { StreamNews } from "./process-messages.ts";

/** Gathers what streams tell, so that all tokens of one step leave in one message. */
export class NewsOutbox {
  readonly #send: (streams: readonly StreamNews[]) => void;
  readonly #nextTurn: () => Promise<void>;
  #streams = new Map<number, StreamNews>();
  #scheduled = false;

  constructor(send: (streams: readonly StreamNews[]) => void, nextTurn: () => Promise<void>) {
    this.#send = send;
    this.#nextTurn = nextTurn;
  }

  event(stream: number, event: SequenceEvent): void {
    this.#newsOf(stream).events.push(event);
  }

  end(stream: number, fault: FaultMessage | undefined): void {
    this.#newsOf(stream).end = { fault };
  }

  /** Sends what there is, even if nothing (the load goes with it), at the end of this turn at the latest. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void this.#nextTurn().then(() => {
      if (this.#scheduled) this.flush();
    });
  }

  flush(): void {
    if (!this.#scheduled) return;
    this.#scheduled = false;
    const streams = [...this.#streams.values()];
    this.#streams = new Map();
    this.#send(streams);
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
