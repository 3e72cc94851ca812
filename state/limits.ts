import { type Bytes, DAY, Fault, type FaultReason, KIB, MIB, type Millis } from "#kernel";
import type { BookChange, Draw, HoldAsk, TakeAsk } from "./contract.ts";

/** What every store refuses, and how: the same bounds and the same faults, whatever lies behind. */

/** Of keys, books, groups, counters, accounts, meters, leases, holders and ids, in UTF-16 units: they are names, not content. */
export const NAME_LENGTH_MAX = 512;
/** A record is a small value; files and weights live elsewhere. */
export const RECORD_BYTES_MAX: Bytes = 256 * KIB;
/** Of a line's text, and of a book's value. */
export const LINE_BYTES_MAX: Bytes = 256 * KIB;
/** Of one change's texts: a store works on one change at a time, and meanwhile on nothing else. */
export const CHANGE_BYTES_MAX: Bytes = 16 * MIB;
/** Lines, values, counters or releases of one change; also keys of one ask. */
export const CHANGE_ITEMS_MAX = 20_000;
/** Books of one commit or one read. */
export const BOOKS_MAX = 10_000;
/** Lines of one page. */
export const PAGE_LINES_MAX = 10_000;
/** Of a take: each is one bucket to read and write. */
export const DRAWS_MAX = 16;
/** An answer is a whole completion, perhaps of several choices with log probabilities. */
export const ANSWER_BYTES_MAX: Bytes = 4 * MIB;
/** Nothing that passes by itself lasts longer. */
export const DURATION_MS_MAX: Millis = 366 * DAY;
/** What a counter holds: 64 bits. */
export const COUNTER_MAX = 2n ** 63n - 1n;
export const COUNTER_MIN = -(2n ** 63n);
/** Money that is set aside stays exact in a double, which is what Redis's scripts compute with. */
const MONEY_MAX = BigInt(Number.MAX_SAFE_INTEGER);
/** When too many takes are live, when one ends is not known; this long is worth waiting. */
export const LIVE_WAIT_MS: Millis = 1_000;

/** @throws Fault parameter_invalid unless `text` is 1 to {@link NAME_LENGTH_MAX} characters of well-formed Unicode */
export function checkName(field: string, text: string): void {
  if (text === "" || text.length > NAME_LENGTH_MAX)
    throw invalid(field, `${field} has 1 to ${NAME_LENGTH_MAX} characters, not ${text.length}`);
  if (!text.isWellFormed()) throw invalid(field, `${field} is no well-formed Unicode`);
}

export function checkNames(fields: Readonly<Record<string, string>>): void {
  for (const [field, text] of Object.entries(fields)) checkName(field, text);
}

/** @throws Fault parameter_invalid unless `durationMs` is a whole number from 1 to {@link DURATION_MS_MAX} */
export function checkDuration(field: string, durationMs: Millis): void {
  checkCount(field, durationMs, 1, DURATION_MS_MAX);
}

/** The JSON of a record's value. @throws Fault parameter_invalid, message_too_large */
export function encodeRecord(key: string, value: unknown): string {
  checkName("key", key);
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw invalid("value", `the value of ${key} is not JSON`);
  checkText("value", text, RECORD_BYTES_MAX);
  return text;
}

/** @throws Fault parameter_invalid, message_too_large */
export function checkAnswer(answer: string): void {
  checkText("answer", answer, ANSWER_BYTES_MAX);
}

/** @throws Fault parameter_invalid */
export function checkAsks(asks: readonly { readonly book: string; readonly keys: readonly string[] }[]): void {
  checkCount("asks", asks.length, 0, BOOKS_MAX);
  for (const { book, keys } of asks) {
    checkName("book", book);
    checkCount("keys", keys.length, 0, CHANGE_ITEMS_MAX);
    for (const key of keys) checkName("key", key);
  }
}

/** @throws Fault parameter_invalid */
export function checkPage(book: string, from: number, count: number): void {
  checkName("book", book);
  checkCount("from", from, 1);
  checkCount("count", count, 1, PAGE_LINES_MAX);
}

/** Of a whole commit: nothing of it is done. @throws Fault parameter_invalid, message_too_large */
export function checkChanges(changes: readonly BookChange[]): void {
  checkCount("changes", changes.length, 0, BOOKS_MAX);
  if (new Set(changes.map(({ book }) => book)).size < changes.length) throw invalid("book", "a commit changes no book twice");
  for (const change of changes) checkChange(change);
}

function checkChange(change: BookChange): void {
  checkName("book", change.book);
  checkCount("basedOn", change.basedOn, 0);
  checkCount("lines", change.lines.length, 1, CHANGE_ITEMS_MAX);
  checkCount("values", change.values.size, 0, CHANGE_ITEMS_MAX);
  checkCount("counters", change.counters.length, 0, CHANGE_ITEMS_MAX);
  checkCount("releases", change.releases.length, 0, CHANGE_ITEMS_MAX);
  let sizeBytes = 0;
  for (const { text, hash } of change.lines) {
    checkName("hash", hash);
    sizeBytes += checkText("text", text, LINE_BYTES_MAX);
  }
  for (const [key, value] of change.values) {
    checkName("key", key);
    sizeBytes += checkText("value", value, LINE_BYTES_MAX);
  }
  if (sizeBytes > CHANGE_BYTES_MAX)
    throw new Fault("message_too_large", `the change of ${change.book} has ${sizeBytes} bytes; ${CHANGE_BYTES_MAX} are allowed`);
  for (const { group, name, amount } of change.counters) {
    checkNames({ group, name });
    if (amount > COUNTER_MAX || amount < COUNTER_MIN) throw counterFull(change.book, group, name);
  }
  for (const id of change.releases) checkName("id", id);
}

/** The counter would leave its 64 bits. The change is not done. */
export function counterFull(book: string, group: string, name: string): Fault<"parameter_invalid"> {
  return invalid("counters", `counter ${name} of ${group} in ${book} would leave its 64 bits`);
}

/** @throws Fault parameter_invalid */
export function checkTake(ask: TakeAsk): void {
  checkNames({ account: ask.account, id: ask.id });
  checkDuration("lifeMs", ask.lifeMs);
  if (ask.liveMax !== undefined) checkCount("liveMax", ask.liveMax, 0);
  checkCount("draws", ask.draws.length, 0, DRAWS_MAX);
  if (new Set(ask.draws.map(({ meter }) => meter)).size < ask.draws.length) throw invalid("meter", "a take draws from no meter twice");
  for (const draw of ask.draws) checkDraw(draw);
  if (ask.hold) checkHold(ask.hold);
}

function checkDraw(draw: Draw): void {
  checkName("meter", draw.meter);
  checkCount("amount", draw.amount, 0);
  checkCount("limit", draw.limit, 0);
  checkDuration("windowMs", draw.windowMs);
}

function checkHold(hold: HoldAsk): void {
  checkNames({ group: hold.spent.group, name: hold.spent.name });
  for (const [field, amount] of Object.entries({ amount: hold.amount, budget: hold.budget })) {
    if (amount < 0n || amount > MONEY_MAX) throw invalid(field, `${field} is ${amount}; it must be from 0 to ${MONEY_MAX}`);
  }
}

/** @throws Fault parameter_invalid */
export function checkRelease(account: string, ids: readonly string[]): void {
  checkName("account", account);
  checkCount("ids", ids.length, 0, CHANGE_ITEMS_MAX);
  for (const id of ids) checkName("id", id);
}

export function checkSettle(account: string, id: string, used: Readonly<Record<string, number>>): void {
  checkNames({ account, id });
  for (const amount of Object.values(used)) checkCount("used", amount, 0);
}

function checkCount(field: string, count: number, min: number, max = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(count) || count < min || count > max)
    throw invalid(field, `${field} is ${count}; it must be a whole number from ${min} to ${max}`);
}

/** The text's size. */
function checkText(field: string, text: string, max: Bytes): Bytes {
  if (!text.isWellFormed()) throw invalid(field, `${field} is no well-formed Unicode`);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > max) throw wrong("message_too_large", field, `${field} has ${sizeBytes} bytes; ${max} are allowed`);
  return sizeBytes;
}

function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return wrong("parameter_invalid", field, message);
}

function wrong<R extends FaultReason>(reason: R, field: string, message: string): Fault<R> {
  return new Fault(reason, message, { detail: { field } });
}
