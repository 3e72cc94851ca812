import { type Millis, SECOND } from "./units.ts";

/** The parts of a cluster that are processes of their own; also what their certificates say they are. */
export const COMPONENTS = ["router", "scheduler", "node-agent", "trainer"] as const;
export type Component = (typeof COMPONENTS)[number];

/**
 * How long a part may take from SIGTERM to its end: the terms of the one formula of docs/drain.md, in their order. An
 * orchestrator that grants {@link graceMs} never has to kill.
 */
export interface Grace {
  /** It says that it is not ready and still takes what comes: until whoever balances load has noticed, or its deltas are copied. */
  readonly noticeMs: Millis;
  /** What runs may go on for so long. */
  readonly streamsMs: Millis;
  /** From the cut of what still runs to its last claim: one sync of the disk, one round trip to the store. */
  readonly cutMs: Millis;
  /** Its claims reach the ledger; what does not stays on its disk for its next life. */
  readonly settleMs: Millis;
  /** Engines, files and connections are closed. */
  readonly closeMs: Millis;
}

/** What is used when nobody says otherwise. */
export const GRACE: Readonly<Record<Component, Grace>> = {
  // Nobody can go on with a router's streams, so they get a minute; endpoints and their watchers take some seconds to notice.
  router: { noticeMs: 5 * SECOND, streamsMs: 60 * SECOND, cutMs: 2 * SECOND, settleMs: 10 * SECOND, closeMs: 3 * SECOND },
  // The copies of its hot deltas take some seconds, and end the notice. Routers go on elsewhere with what is cut.
  "node-agent": { noticeMs: 10 * SECOND, streamsMs: 30 * SECOND, cutMs: 2 * SECOND, settleMs: 10 * SECOND, closeMs: 3 * SECOND },
  // All of its state is soft; routers follow the others.
  scheduler: { noticeMs: 0, streamsMs: 0, cutMs: 0, settleMs: 0, closeMs: 5 * SECOND },
  // Training goes on from its last checkpoint.
  trainer: { noticeMs: 0, streamsMs: 0, cutMs: 0, settleMs: 0, closeMs: 15 * SECOND },
};

/** The sum of all terms. */
export function graceMs({ noticeMs, streamsMs, cutMs, settleMs, closeMs }: Grace): Millis {
  return noticeMs + streamsMs + cutMs + settleMs + closeMs;
}
