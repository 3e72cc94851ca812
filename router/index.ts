export { type BookPart, bookPartsFromMessages, readBook, type VerifiedBook, verifyBooks } from "./billing/index.ts";
export { type PriceRecord, RECORD_SHAPES } from "./catalog/index.ts";
export type * from "./contract.ts";
export { JOB_LIMITS, type JobLimits, type PreparationReport, type PreparationTask, type PrepareData } from "./fine-tuning/index.ts";
export { createAdminKey } from "./keys/index.ts";
export { isLedgerBook, type Ledger } from "./ledger/index.ts";
export { type ClusterView, memoryTransport } from "./nodes/index.ts";
export { parsePriceList } from "./prices/index.ts";
export { type RouterDeps, type RouterOptions, type RunningRouter, startRouter } from "./router.ts";
