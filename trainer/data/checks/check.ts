import type { Fault } from "#kernel";
import type { Row } from "../rows.ts";
import type { RowSet } from "./row-set.ts";

/** What the rows are for, which decides what some checks mean. */
export type TaskKind = "open-ended" | "conditional" | "classification" | "chat";

/** What is known of all rows once they were read through. */
export interface Survey {
  readonly rows: number;
  readonly task: TaskKind;
  /** Different completions; counting ends where it no longer could be a classification. */
  readonly classes: number;
}

/**
 * One thing that can be wrong with a data set. A check sees every row once, then says what it found. Checks of a later
 * stage are heard when those before have nothing left to change, so that each judges the data as they will be.
 */
export interface Check<R extends Row> {
  readonly name: string;
  readonly stage: number;
  start(): Inspection<R>;
}

export interface Inspection<R extends Row> {
  see(row: R): void;
  conclude(survey: Survey): Finding<R> | undefined;
}

/** What a check found and what can be done about it. */
export interface Finding<R extends Row> {
  /** Said in any case. */
  readonly immediateMessage?: string;
  /** Applied without asking: without it the data could not be learned from. */
  readonly necessary?: Fix<R>;
  /** Recommended, and asked. A finding has one fix at most. */
  readonly optional?: Fix<R>;
  /** Ends the preparation. */
  readonly error?: Fault;
  /** What a prompt ends with, and what ends a completion, when all do. */
  readonly separator?: string;
  readonly stop?: string;
}

export interface Fix<R extends Row> {
  /** An order: "Drop 3 rows". */
  readonly message: string;
  readonly drop?: RowSet;
  readonly rewrite?: (row: R) => R;
}
