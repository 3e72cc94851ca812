import { assert, BoundedQueue, faultFrom } from "#kernel";
import type { SequenceEvent, Slot } from "../contract.ts";
import { CREDIT_LOT_EVENTS, STREAM_WINDOW_EVENTS, type StreamNews } from "./process-messages.ts";

/** The parent's end of one generate: what has arrived and is not read yet, never more than the window. */
export class ParentStream {
  readonly slot: Slot | undefined;
  readonly queue = new BoundedQueue<SequenceEvent>(STREAM_WINDOW_EVENTS);
  /** The child has said its last word about it. */
  ended = false;
  #unacknowledged = 0;

  constructor(slot: Slot | undefined) {
    this.slot = slot;
  }

  receive({ events, end }: StreamNews): void {
    this.ended = end !== undefined;
    for (const event of events) {
      if (this.queue.ended) return; // Cancelled here; the child has not heard of it yet.
      assert(this.queue.offer(event), "the engine's process sent more than it had credit for");
    }
    if (end?.fault) this.queue.fail(faultFrom(end.fault));
    else if (end) this.queue.finish();
  }

  /** The consumer has taken one event. Gives the credit to be sent now, mostly 0. */
  taken(): number {
    this.#unacknowledged++;
    if (this.#unacknowledged < CREDIT_LOT_EVENTS) return 0;
    this.#unacknowledged = 0;
    return CREDIT_LOT_EVENTS;
  }
}
