import { assert, type Tokens } from "#kernel";
import type { BaseInfo } from "#model";
import type { Beginning, Row, RunnerLimits, StepRow } from "./contract.ts";

/** Where rows have their keys and values. */
export interface RowRoom {
  /** False when there is no room; then nothing has changed. */
  open(row: Row, tokensMax: Tokens, from?: Beginning): boolean;
  close(row: Row): void;
  /** How many tokens the row may still take. */
  room(row: Row): Tokens;
}

/** Which rows are open: the lowest free number is the next, and never more than the limit. */
export class OpenRows {
  readonly #base: BaseInfo;
  readonly #limits: RunnerLimits;
  readonly #room: RowRoom;
  readonly #rows = new Set<Row>();

  constructor(base: BaseInfo, limits: RunnerLimits, room: RowRoom) {
    this.#base = base;
    this.#limits = limits;
    this.#room = room;
  }

  /** See `open` of the runner. */
  open(tokensMax: Tokens, from?: Beginning): Row | undefined {
    assert(tokensMax <= this.#base.contextTokensMax, "a sequence stays within the context of its base");
    if (this.#rows.size >= this.#limits.rowsMax) return undefined;
    let row: Row = 0;
    while (this.#rows.has(row)) row++;
    if (!this.#room.open(row, tokensMax, from)) return undefined;
    this.#rows.add(row);
    return row;
  }

  close(row: Row): void {
    this.#room.close(row);
    this.#rows.delete(row);
  }

  /** Asserts that each row of a step takes what it reserved, and something. */
  check(step: readonly StepRow[]): void {
    for (const { row, tokens } of step) {
      assert(tokens.length > 0 && tokens.length <= this.#room.room(row), `row ${row} takes from 1 token up to what it reserved`);
    }
  }
}
