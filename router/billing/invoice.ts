import { DAY, Fault, type Millis, type NanoUsd, type TenantId } from "#kernel";
import type { Head, Journal } from "#state";
import type { Ledger, PostedCorrection, UsageRow } from "../ledger/index.ts";
import type { PriceLookup } from "../prices/index.ts";
import { monthPeriod } from "./period.ts";
import { type PricedTokens, type PriceLists, pricedTokens, priceListsOf, ratesIn } from "./priced-tokens.ts";

/** Tokens of one kind that one model used at one price. */
export interface InvoiceLine extends PricedTokens {
  readonly base: string;
  /** What the client called it; "" where no claim has said so yet. */
  readonly model: string;
  readonly priceVersion: number;
}

/** What a tenant owes for the requests that were admitted in a month, and for the corrections that were posted in it. */
export interface Invoice {
  readonly tenantId: TenantId;
  /** YYYY-MM, UTC. */
  readonly month: string;
  readonly lines: readonly InvoiceLine[];
  readonly corrections: readonly PostedCorrection[];
  /** Exactly the lines and the corrections together. */
  readonly total: NanoUsd;
  /** Until the month and {@link CLAIM_GRACE_MS} are over. */
  readonly preliminary: boolean;
  /** Where the tenant's book ended: the same head, the same invoice. */
  readonly head: Head;
}

/** How long claims of a month may still come: a node that was cut off delivers when it is back. */
const CLAIM_GRACE_MS: Millis = DAY;

/**
 * The invoice of a month, from nothing but its arguments.
 * @param rows by base, model and price version
 * @throws Fault checksum_mismatch when the tokens do not come to what the book charged for them: such a bill is never sent
 */
function invoiceOf(
  given: Pick<Invoice, "tenantId" | "month" | "corrections" | "head"> & {
    readonly rows: readonly UsageRow[];
    readonly prices: PriceLists;
    readonly now: Millis;
  },
): Invoice {
  const { tenantId, month, corrections, head } = given;
  const lines = given.rows.flatMap((row) => linesOf(row, given.prices)).sort(inOrder);
  return {
    ...{ tenantId, month, lines, corrections, head },
    total: sumOf(lines) + sumOf(corrections),
    preliminary: given.now < monthPeriod(month).until + CLAIM_GRACE_MS,
  };
}

function linesOf(row: UsageRow, prices: PriceLists): readonly InvoiceLine[] {
  const { base = "", model = "", priceVersion = 0 } = row;
  const priced = pricedTokens(row, ratesIn(prices, priceVersion, base));
  if (sumOf(priced) !== row.amount) {
    const where = `${model || base} at price version ${priceVersion}`;
    throw new Fault("checksum_mismatch", `the book charged ${row.amount} nano-dollars for ${where}, its tokens come to ${sumOf(priced)}`);
  }
  return priced.filter(({ tokens }) => tokens !== 0).map((tokens) => ({ base, model, priceVersion, ...tokens }));
}

function sumOf(parts: readonly { readonly amount: NanoUsd }[]): NanoUsd {
  return parts.reduce((sum, { amount }) => sum + amount, 0n);
}

/** By base, model and version; the kinds of one row stay as they are. */
function inOrder(one: InvoiceLine, other: InvoiceLine): number {
  return compare(one.base, other.base) || compare(one.model, other.model) || one.priceVersion - other.priceVersion;
}

/** By code units, so that the order is the same on every machine. */
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** A book that is written to all the time never stands still; then what was read holds all of the head, and perhaps more. */
const STILL_TRIES_MAX = 5;

/** Reads what an invoice is made of. @throws Fault parameter_invalid for no month, checksum_mismatch as {@link invoiceOf} */
export async function readInvoice(
  deps: { readonly ledger: Ledger; readonly journal: Journal; readonly prices: PriceLookup },
  ask: { readonly tenantId: TenantId; readonly month: string; readonly now: Millis },
): Promise<Invoice> {
  const { tenantId, month } = ask;
  const { since, until } = monthPeriod(month);
  const headNow = async () => (await deps.journal.read([{ book: tenantId, keys: [] }]))[0]!.head;
  for (let tries = 1; ; tries++) {
    const head = await headNow();
    const rows = await deps.ledger.usage({ tenantId, since, until, by: ["base", "model", "price"] });
    const corrections = await deps.ledger.corrections(tenantId, since, until);
    if (tries === STILL_TRIES_MAX || (await headNow()).position === head.position) {
      return invoiceOf({ ...ask, head, rows, corrections, prices: await priceListsOf(rows, deps.prices) });
    }
  }
}
