import { createHash } from "node:crypto";
import type { Head, StoredLine } from "#state";
import { RecountedBook } from "./recounted-book.ts";

/**
 * The second bookkeeper: goes through the raw lines of a book, merges the claims and prices them by itself, and compares
 * with everything the ledger wrote: hashes, entries, accounts, rollups. It shares no code with what writes the lines, so
 * that a mistake there is not made here again. Pure: lines, totals and price lists may come from anywhere.
 */

/** The rates of a price list, in nano-dollars per token. */
export interface RecountRates {
  readonly prompt: number;
  readonly cached: number;
  readonly completion: number;
  readonly training: number;
}

export interface RecountPrices {
  readonly default: RecountRates;
  /** By the base's name, where they differ. */
  readonly bases: Readonly<Record<string, RecountRates>>;
}

export interface RecountInput {
  readonly book: string;
  /** All of the book's, from the first. */
  readonly lines: AsyncIterable<StoredLine> | Iterable<StoredLine>;
  /** What the ledger says: the head, and the counters by `<group> <name>`. */
  readonly totals: { readonly head: Head; readonly counters: ReadonlyMap<string, bigint> };
  /** By version. */
  readonly prices: ReadonlyMap<number, RecountPrices>;
}

/** Something that does not add up. */
export interface Difference {
  readonly book: string;
  /** Of the line at fault; absent when it is no single line's. */
  readonly position?: number;
  readonly what: string;
}

export interface Recount {
  /** Empty: exact. At most {@link DIFFERENCES_MAX}. */
  readonly differences: readonly Difference[];
  /** Differences that were found beyond those. */
  readonly omitted: number;
  readonly lines: number;
  readonly claims: number;
  readonly entries: number;
  readonly corrections: number;
  readonly requests: number;
  /** As recounted: charges and corrections. */
  readonly nanoUsd: bigint;
}

/** One broken line explains itself; thousands are one mistake that was made often. */
const DIFFERENCES_MAX = 1_000;

/** Memory grows with the book's requests, not with its lines. */
export async function recountBook(input: RecountInput): Promise<Recount> {
  const differences: Difference[] = [];
  let omitted = 0;
  const report = (what: string, position?: number) => {
    if (differences.length < DIFFERENCES_MAX) differences.push({ book: input.book, ...(position !== undefined && { position }), what });
    else omitted++;
  };
  const counted = new RecountedBook(input.book, input.prices, report);
  let last: Head = { position: 0, hash: "" };
  let lines = 0;
  for await (const line of input.lines) {
    lines++;
    checkChain(last, line, report);
    counted.take(line.position, line.text);
    last = line;
  }
  const { head, counters } = input.totals;
  if (head.position !== last.position) report(`the ledger says that the book ends at ${head.position}; its last line is ${last.position}`);
  else if (head.hash !== last.hash) report(`the ledger says that the book ends with the hash ${head.hash}; its last line has ${last.hash}`);
  counted.close();
  compareCounters(counted.counters, counters, report);
  return { differences, omitted, lines, ...counted.sums };
}

type Report = (what: string, position?: number) => void;

function checkChain(last: Head, line: StoredLine, report: Report): void {
  if (line.position !== last.position + 1) report(`line ${line.position} follows line ${last.position}`, line.position);
  const expected = createHash("sha256").update(last.hash).update("\n").update(line.text).digest("hex");
  if (line.hash !== expected)
    report("the hash is not that of the line before and this text: a line was changed, removed or moved", line.position);
}

/** What is absent is 0. */
function compareCounters(counted: ReadonlyMap<string, bigint>, told: ReadonlyMap<string, bigint>, report: Report): void {
  for (const name of new Set([...counted.keys(), ...told.keys()])) {
    const [ours, theirs] = [counted.get(name) ?? 0n, told.get(name) ?? 0n];
    if (ours !== theirs) report(`the counter "${name}" is ${theirs}; the lines come to ${ours}`);
  }
  let balance = 0n;
  for (const [name, amount] of told) if (name.startsWith("accounts ")) balance += amount;
  if (balance !== 0n) report(`the accounts add up to ${balance}, not to 0`);
}
