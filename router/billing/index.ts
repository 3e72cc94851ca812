export { bookPartsFromMessages, bookPartToMessage } from "./book-message.ts";
export { type BookPart, readBook } from "./book-reading.ts";
export { EXPORTERS, type Exporter } from "./exports/index.ts";
export { type Invoice, type InvoiceLine, readInvoice } from "./invoice.ts";
export { dayOf, monthPeriod, type Period, startOf } from "./period.ts";
export { type TokenKind, tokensByPrice } from "./priced-tokens.ts";
export { type RevenueReport, revenueReport } from "./revenue.ts";
export { type SpendingDeps, type TenantSpending, tenantSpending } from "./tenant-spending.ts";
export { type VerifiedBook, verifyBooks } from "./verification.ts";
