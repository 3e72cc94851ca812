import type { BaseLoad } from "#kernel";

/** How many rows there are before the next one: running and waiting. */
export function rowsAhead(load: BaseLoad): number {
  return load.rowsRunning + load.queueDepth;
}
