import { type Clock, Fault, MINUTE, type Millis, parseUsd } from "#kernel";
import { type BillingServiceService, claimFromMessage } from "#proto";
import type { Journal } from "#state";
import { bookPartToMessage, readBook, readInvoice, revenueReport, startOf } from "../billing/index.ts";
import type { Catalog } from "../catalog/index.ts";
import { tenantFor, tenantOrAll } from "../keys/index.ts";
import { isLedgerBook, type Ledger } from "../ledger/index.ts";
import type { PriceLookup } from "../prices/index.ts";
import { dimensionsFromMessage, exporterFromMessage, invoiceToMessage, revenueToMessage, usageRowToMessage } from "./billing-messages.ts";
import type { GuardedHandlers } from "./guard.ts";

export interface BillingServiceDeps {
  readonly clock: Clock;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly prices: PriceLookup;
}

/** What one message may hold: a batch of a node's outbox. */
const CLAIMS_MAX = 1000;
/** A row is below 300 bytes on the wire, and a message has room for 16 MiB. */
const USAGE_ROWS_MAX = 50_000;
/** Pieces of an export are put together up to so many characters, so that a file of small rows is not a message each. */
const PIECE_CHARACTERS = 64 * 1024;
/** "Until" of who does not say any: the last day whose year has four digits. */
const END_OF_TIME: Millis = Date.UTC(9999, 11, 31);

export function billingHandlers(deps: BillingServiceDeps): GuardedHandlers<typeof BillingServiceService> {
  const { ledger, journal, catalog, clock, prices } = deps;
  return {
    async getUsage({ by, sinceMs, untilMs, tenantId: named }, { principal }) {
      const dimensions = dimensionsFromMessage(by);
      const tenantId = tenantOrAll(catalog.view, principal, named);
      const rows = await ledger.usage({
        by: dimensions,
        ...(tenantId !== undefined && { tenantId }),
        ...(sinceMs !== 0 && { since: sinceMs }),
        ...(untilMs !== 0 && { until: untilMs }),
      });
      if (rows.length > USAGE_ROWS_MAX) {
        throw invalid("by", `this makes ${rows.length} rows, more than ${USAGE_ROWS_MAX}: ask for a shorter time or fewer dimensions`);
      }
      return { rows: rows.map((row) => usageRowToMessage(row, dimensions.includes("day"))) };
    },

    async getInvoice({ tenantId: named, month }, { principal }) {
      const tenantId = tenantFor(catalog.view, principal, named);
      return { invoice: invoiceToMessage(await readInvoice({ ledger, journal, prices }, { tenantId, month, now: clock.now() })) };
    },

    async *export({ format, sinceMs, untilMs, tenantId: named }, { principal, signal }) {
      const exporter = exporterFromMessage(format);
      const tenantId = tenantOrAll(catalog.view, principal, named);
      const tenantIds = tenantId === undefined ? await ledger.tenants() : [tenantId];
      for await (const piece of pieces(exporter({ ledger, prices, tenantIds, ...periodOf(sinceMs, untilMs) }))) {
        signal.throwIfAborted();
        yield { piece: Buffer.from(piece) };
      }
    },

    async *readJournal({ book }, { signal }) {
      const books = book === "" ? (await journal.books()).filter(isLedgerBook) : [book];
      for (const name of books) {
        for await (const part of readBook({ journal, clock }, name)) {
          signal.throwIfAborted();
          yield bookPartToMessage(part);
        }
      }
    },

    async postCorrection({ id, tenantId: named, requestId, amountUsd, reason }, { principal }) {
      const tenantId = tenantFor(catalog.view, principal, named);
      const amount = parseUsd(amountUsd, "amount_usd");
      const position = await ledger.correct({ id, tenantId, amount, reason, ...(requestId !== "" && { requestId }) });
      return { position };
    },

    async getRevenueReport({ sinceMs, untilMs }) {
      const period = periodOf(sinceMs, untilMs);
      return revenueToMessage(await revenueReport({ ledger, journal, view: catalog.view }, period, clock.now()));
    },

    async submitClaims({ claims }) {
      if (claims.length > CLAIMS_MAX) throw invalid("claims", `claims has ${claims.length} entries, more than ${CLAIMS_MAX}`);
      await ledger.post(claims.map(claimFromMessage));
      return {};
    },
  };
}

/** Whole minutes, as the ledger sums them. @throws Fault parameter_invalid for a time that ends before it begins */
function periodOf(sinceMs: Millis, untilMs: Millis): { readonly since: Millis; readonly until: Millis } {
  const since = startOf(MINUTE, sinceMs);
  const until = untilMs === 0 ? END_OF_TIME : startOf(MINUTE, untilMs);
  if (until < since) throw invalid("until_ms", "until_ms is before since_ms");
  return { since, until };
}

async function* pieces(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = "";
  for await (const text of texts) {
    piece += text;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = "";
  }
  if (piece !== "") yield piece;
}

function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
