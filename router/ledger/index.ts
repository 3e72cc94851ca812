export { type BookTotals, readLines, readTotals } from "./book-totals.ts";
export { BookWriter } from "./book-writer.ts";
export {
  type Charge,
  type Correction,
  type Ledger,
  type PostedCorrection,
  spentCounter,
  type UsageDimension,
  type UsageQuery,
  type UsageRow,
} from "./contract.ts";
export { createLedger, type LedgerEvents } from "./ledger.ts";
export { isLedgerBook } from "./ledger-book.ts";
export { readNodeHours, startNodeHours } from "./node-hours.ts";
export { type Recount, type RecountPrices, recountBook } from "./recount.ts";
