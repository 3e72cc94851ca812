import { Fault, type Millis, NAME_PATTERN, type NanoUsd } from "#kernel";
import type { Journal } from "#state";
import { countSpent } from "./claim-posting.ts";
import type { Correction, PostedCorrection } from "./contract.ts";
import { ADJUSTMENTS, correctionText, receivable } from "./line.ts";
import type { OpenBook } from "./open-book.ts";
import { requestKey } from "./request-state.ts";

/** The counters that name a book's corrections: their amounts by id. */
const CORRECTIONS = "corrections";
const ID_LENGTH_MAX = 64;
const REASON_LENGTH_MAX = 1_000;
/** Of one correction: a billion dollars. */
const AMOUNT_MAX: NanoUsd = 10n ** 18n;
/** Values read at a time. */
const READ_MAX = 500;

/** @throws Fault parameter_invalid */
export function checkCorrection(correction: Correction): void {
  const { id, tenantId, requestId, amount, reason } = correction;
  if (!new RegExp(`^[!-~]{1,${ID_LENGTH_MAX}}$`).test(id))
    throw invalid("id", `id is "${id}"; it has 1 to ${ID_LENGTH_MAX} printable characters`);
  if (!NAME_PATTERN.test(tenantId)) throw invalid("tenant_id", `tenant_id is "${tenantId}", which is no tenant's`);
  if (requestId !== undefined && !/^[!-~]{1,128}$/.test(requestId))
    throw invalid("request_id", `request_id is "${requestId}", which is no request's`);
  if (amount === 0n || amount > AMOUNT_MAX || amount < -AMOUNT_MAX) throw invalid("amount_usd", "amount_usd is 0 or too large to be meant");
  if (reason.trim() === "" || reason.length > REASON_LENGTH_MAX || !reason.isWellFormed())
    throw invalid("reason", `reason has 1 to ${REASON_LENGTH_MAX} characters`);
}

/** What {@link postCorrection} reads. */
export function correctionKeys(correction: Correction): readonly string[] {
  const { id, requestId } = correction;
  return [correctionKey(id), ...(requestId === undefined ? [] : [requestKey(requestId)])];
}

/** What became of it; `position` is that of its line, of the first posting too. */
export type CorrectionOutcome =
  | { readonly kind: "posted"; readonly position: number }
  | { readonly kind: "other_content" }
  | { readonly kind: "request_unknown" };

export function postCorrection(book: OpenBook, correction: Correction, at: Millis): CorrectionOutcome {
  const { id, tenantId, requestId, amount, reason } = correction;
  const known = book.value(correctionKey(id));
  if (known !== undefined) {
    const posted = decode(known);
    const same = posted.amount === amount && posted.reason === reason && posted.requestId === requestId;
    return same ? { kind: "posted", position: posted.position } : { kind: "other_content" };
  }
  if (requestId !== undefined && book.value(requestKey(requestId)) === undefined) return { kind: "request_unknown" };
  const position = book.nextPosition;
  const postings = [
    [receivable(tenantId), amount],
    [ADJUSTMENTS, -amount],
  ] as const;
  const about = requestId === undefined ? {} : { requestId };
  book.append(correctionText({ at, id, ...about, amount, reason, postings }));
  book.post(postings);
  countSpent(book, amount, at);
  book.count(CORRECTIONS, id, amount);
  book.setValue(correctionKey(id), encode({ id, tenantId, ...about, amount, reason, position, postedAt: at }));
  return { kind: "posted", position };
}

/** A tenant's corrections, in the order of their lines. */
export async function readCorrections(journal: Journal, book: string): Promise<readonly PostedCorrection[]> {
  const [counters] = await journal.counters(book, [CORRECTIONS]);
  const keys = [...counters!.keys()].map(correctionKey);
  const corrections: PostedCorrection[] = [];
  for (let from = 0; from < keys.length; from += READ_MAX) {
    const [page] = await journal.read([{ book, keys: keys.slice(from, from + READ_MAX) }]);
    for (const text of page!.values.values()) corrections.push(decode(text));
  }
  return corrections.sort((one, other) => one.position - other.position);
}

function correctionKey(id: string): string {
  return `correction/${id}`;
}

function encode(correction: PostedCorrection): string {
  return JSON.stringify({ ...correction, amount: correction.amount.toString() });
}

function decode(text: string): PostedCorrection {
  const correction = JSON.parse(text) as Omit<PostedCorrection, "amount"> & { readonly amount: string };
  return { ...correction, amount: BigInt(correction.amount) };
}

function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
