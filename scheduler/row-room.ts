import { type Millis, SECOND } from "#kernel";
import type { HasRoom } from "./contract.ts";

/**
 * Whether a request may be sent to a node whose rows are all taken. `alone`: nobody else competes for the base, and no row shall idle.
 * `below_share`: its tenant has less than its share of what runs, and the node takes a row back for it from whoever has more.
 */
export type Ahead = "not" | "alone" | "below_share";

/**
 * Of a node's rows, how many more requests are sent there than there are rows. One in four while a tenant asks alone: between
 * the end of a text and the arrival of the next request lie a message each way, its prompt's tokens and perhaps its delta; meanwhile the
 * row would idle. As many again for those below their share: they must find room also where somebody was alone just now.
 * What waits there is bound to that node, so nobody else may.
 */
const LOOKAHEAD: Readonly<Record<Ahead, number>> = { not: 0, alone: 1 / 4, below_share: 1 / 2 };

/**
 * Whether a node gets one more: whoever may not wait in the node waits where whoever comes can still go before them, and for
 * the first row that becomes free on any node.
 */
export function roomFor(ahead: Ahead): HasRoom {
  return ({ rowsMax, queueDepthMax }, rows) => rows < rowsMax + Math.min(Math.ceil(rowsMax * LOOKAHEAD[ahead]), queueDepthMax);
}

/** For what has waited already, and for what takes no row: as much as the node's own queue takes. */
export const anyRoom: HasRoom = () => true;

/** So long a request waits for a node with a slot for its delta; then it goes where it will wait for one, and what comes free there is kept for it in the end. */
export const SLOT_WAIT_MS_MAX: Millis = 5 * SECOND;
