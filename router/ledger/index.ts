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
export { createLedger, type LedgerDeps, type LedgerEvents } from "./ledger.ts";
export { isLedgerBook } from "./ledger-book.ts";
export { CLUSTER_BOOK, type NodeHours, type NodeHoursDeps, type NodeHoursOptions, readNodeHours, startNodeHours } from "./node-hours.ts";
export type { OpenBook } from "./open-book.ts";
export { type Difference, type Recount, type RecountInput, type RecountPrices, recountBook } from "./recount.ts";
