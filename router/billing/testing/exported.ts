import { asTenantId, DAY, HOUR, type TenantId } from "#kernel";
import { EXPORTERS, type ExportSource } from "../exports/index.ts";
import { type Books, claimOf, NOON } from "./open-books.ts";

export const ACME = asTenantId("acme");
export const RIVAL = asTenantId("rival");

/** Two tenants over three days, at three prices, with a price of 0, cached and plain tokens, projects, and two corrections. */
export async function fill({ ledger, setNow }: Books): Promise<void> {
  await ledger.post([
    claimOf("req_1", { at: NOON - DAY, usage: [1000, 400, 500], version: 1 }),
    claimOf("req_2", { at: NOON - DAY + HOUR, usage: [10, 0, 0], version: 2, project: "shop" }),
    claimOf("req_3", { at: NOON, usage: [7, 7, 1], version: 3, model: "big-base", base: "big-base" }),
    claimOf("req_4", { at: NOON + 1_234, usage: [100, 0, 100], version: 3, outcome: "failed" }),
    claimOf("req_5", { at: NOON + DAY, usage: [5, 0, 5], version: 0 }),
    claimOf("req_6", { at: NOON, usage: [1, 0, 1], tenant: "rival" }),
  ]);
  setNow(NOON + 2 * HOUR);
  await ledger.correct({ id: "c-1", tenantId: ACME, requestId: "req_1", amount: -1_234_567n, reason: '=SUM(A1:A9), "sorry"\n' });
  await ledger.correct({ id: "c-2", tenantId: ACME, amount: 5n, reason: "rounding of the old system" });
}

/** An export's text, and its pieces. */
export async function exported(
  books: Books,
  format: keyof typeof EXPORTERS,
  wish: Partial<Pick<ExportSource, "since" | "until">> & { readonly tenantIds?: readonly TenantId[] } = {},
): Promise<{ readonly text: string; readonly pieces: readonly string[] }> {
  const { ledger, prices } = books;
  const source = { ledger, prices, tenantIds: [ACME, RIVAL], since: 0, until: Date.UTC(9999, 11, 31), ...wish };
  const pieces: string[] = [];
  for await (const piece of EXPORTERS[format](source)) pieces.push(piece);
  return { text: pieces.join(""), pieces };
}

/** The objects of an export that has one a line. */
export function jsonLines(text: string): readonly unknown[] {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}
