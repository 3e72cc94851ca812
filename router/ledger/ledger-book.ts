import { NAME_PATTERN } from "#kernel";
import { CLUSTER_BOOK } from "./node-hours.ts";

/** Whether a book is the ledger's: a tenant's, or the cluster's own. Others keep books in the same journal. */
export function isLedgerBook(name: string): boolean {
  return NAME_PATTERN.test(name) || name === CLUSTER_BOOK;
}
