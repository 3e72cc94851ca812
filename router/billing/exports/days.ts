import { DAY, type Millis, type TenantId } from "#kernel";
import type { PostedCorrection, UsageRow } from "../../ledger/index.ts";
import { type Period, startOf } from "../period.ts";
import type { ExportSource } from "./contract.ts";

/** What a tenant did in one UTC day, as far as it lies within the exported time. */
export interface TenantDay extends Period {
  /** By the dimensions that were asked for. */
  readonly rows: readonly UsageRow[];
  readonly corrections: readonly PostedCorrection[];
}

/** The days on which a tenant used something or was corrected, in order, one in memory at a time. */
export async function* daysOf(
  source: ExportSource,
  tenantId: TenantId,
  by: readonly ("project" | "model" | "base" | "price" | "hour")[],
): AsyncGenerator<TenantDay> {
  const { ledger, since, until } = source;
  const used = await ledger.usage({ tenantId, since, until, by: ["day"] });
  const corrections = Map.groupBy(await ledger.corrections(tenantId, since, until), ({ postedAt }) => startOf(DAY, postedAt));
  const starts = new Set<Millis>([...used.map((row) => row.start!), ...corrections.keys()]);
  for (const start of [...starts].sort((one, other) => one - other)) {
    const period = { since: Math.max(since, start), until: Math.min(until, start + DAY) };
    const rows = await ledger.usage({ tenantId, ...period, by });
    yield { ...period, rows, corrections: corrections.get(start) ?? [] };
  }
}
