import type { Millis, Tokens } from "#kernel";

/** What decides how soon a node could give a first token. All of it from its reports, and what the caller sent since. */
export interface NodeOutlook {
  readonly rowsAhead: number;
  readonly rowsMax: number;
  /** Mean time of a row, from joining the batch to its end. */
  readonly meanRowMs: Millis;
  /** Prompts whose first token has not come yet. */
  readonly promptTokensAhead: Tokens;
  readonly promptTokenMs: Millis;
  /** Its step at present, and what the asked row would add to it: rows pay for the ranks they are batched with. */
  readonly stepMs: Millis;
  readonly addedStepMs: Millis;
  /** Until the delta is in its slot, with what is on the way already; 0 when it is. */
  readonly loadMs: Millis;
  /** It is on its way there for somebody already: they may be among those ahead, and then their prompts are computed after it, not meanwhile. */
  readonly isLoading: boolean;
  /** What that load keeps busy and displaces: the same without others' loads before it. */
  readonly loadCostMs: Millis;
  /** Whether the delta is in a slot, or would find one: free, or by evicting one that no row uses. */
  readonly hasRoom: boolean;
  /** Of the slots' bytes: what rows use now, and what the delta would add; 0 when rows use it already. */
  readonly slotsInUse: number;
  readonly addedSlots: number;
  /** Loads that wait for room in the slots; each needs rows to end first. */
  readonly starvedLoads: number;
}

export type WritableOutlook = { -readonly [Field in keyof NodeOutlook]: NodeOutlook[Field] };

/** An idle node's, to be written into: a pick asks for a dozen, and reads each before the next. */
export function createOutlook(): WritableOutlook {
  return {
    ...{ rowsAhead: 0, rowsMax: 1, meanRowMs: 0, promptTokensAhead: 0, promptTokenMs: 0, stepMs: 0, addedStepMs: 0 },
    ...{ loadMs: 0, isLoading: false, loadCostMs: 0, hasRoom: true, slotsInUse: 0, addedSlots: 0, starvedLoads: 0 },
  };
}

/** A slot is free again when the last row of its delta has ended: about half of a row's time, when one is begun at a random moment. */
const ROOM_PER_ROW = 0.5;

/** Half a step, on average, until the batch takes rows in; then the step that computes the prompt. */
const STEPS_TO_FIRST = 1.5;

/** Estimated time to first token: the row and the delta are waited for at the same time, unless those ahead wait for the delta too; then the prompt is computed. */
export function firstTokenMs(outlook: NodeOutlook, promptTokens: Tokens): Millis {
  const { rowsAhead, rowsMax, meanRowMs, promptTokensAhead, promptTokenMs, stepMs, addedStepMs, loadMs, isLoading } = outlook;
  const rowsOver = Math.max(0, rowsAhead + 1 - rowsMax);
  const rowMs = (rowsOver * meanRowMs) / rowsMax + promptTokensAhead * promptTokenMs;
  const roomMs = outlook.hasRoom ? 0 : (1 + outlook.starvedLoads) * ROOM_PER_ROW * meanRowMs;
  const waitMs = isLoading ? rowMs + loadMs + roomMs : Math.max(rowMs, loadMs + roomMs);
  return waitMs + STEPS_TO_FIRST * stepMs + addedStepMs + promptTokens * promptTokenMs;
}

/** Whether the delta would wait for rows of others to end: it is in no slot that rows use, and all slots are in use. */
export function waitsForSlot({ hasRoom, addedSlots }: NodeOutlook): boolean {
  return !hasRoom && addedSlots > 0;
}

/** What a load costs those who come after, beside the one who waits for it: someone's delta leaves and will be loaded again. */
const LOAD_WEIGHT = 1;
/**
 * The same when a delta's own places are all late: then many ask for it, and the load serves them all. With 1, a node that has a large delta keeps its crowd until the
 * queue there is twice as long as the load from the store; with 0, the 99th percentile of an even load is 3 % higher.
 */
const LATE_LOAD_WEIGHT = 1 / 4;
/** A row lengthens the steps of all for as long as it runs; so many of them count against a first token. */
const STEPS_WEIGHT = 4;

/** Slots that are nearly all in use are what others wait for: a delta more takes its share of them for as long as its row runs. */
const SLOTS_WEIGHT = 3;

/** What a place costs others than the asker; nodes are compared by the sum of both. `isLate`: none of the delta's own places is in time. */
export function costToOthersMs({ loadCostMs, addedStepMs, slotsInUse, addedSlots, meanRowMs }: NodeOutlook, isLate = false): Millis {
  return (
    (isLate ? LATE_LOAD_WEIGHT : LOAD_WEIGHT) * loadCostMs +
    STEPS_WEIGHT * addedStepMs +
    SLOTS_WEIGHT * slotsInUse ** 2 * addedSlots * meanRowMs
  );
}
