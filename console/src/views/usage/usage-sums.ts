import { type NanoUsd, nanoUsd } from "./money.ts";
import type { Dimension, UsageRow } from "./shapes.ts";

/** What one model, key, project or tenant came to. */
export interface UsageSum {
  readonly name: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly trainedTokens: number;
  readonly amount: NanoUsd;
}

/** What is drawn. */
export type Measure = "money" | "tokens";

/** One day: what each group came to, in the groups' order. */
export interface DayColumn {
  /** YYYY-MM-DD, UTC. */
  readonly day: string;
  readonly parts: readonly bigint[];
  readonly total: bigint;
}

const DAY_MS = 86_400_000;
const FIELDS = { day: "day", model: "model", key: "key_id", project: "project_id", tenant: "tenant_id" } as const;
/** As many as can be told apart by colour; the rest are one. */
const COLOURS = 6;
export const OTHERS = "all others";

export function nameIn(row: UsageRow, dimension: Dimension): string {
  return row[FIELDS[dimension]] ?? "(not known yet)";
}

/** By name, the dearest first. */
export function sumsBy(rows: readonly UsageRow[], dimension: Dimension): readonly UsageSum[] {
  const sums = [...Map.groupBy(rows, (row) => nameIn(row, dimension))].map(([name, group]): UsageSum => ({ name, ...sumOfRows(group) }));
  return sums.sort(
    (one, other) => compare(other.amount, one.amount) || tokensOf(other) - tokensOf(one) || (one.name < other.name ? -1 : 1),
  );
}

export function sumOfRows(rows: readonly UsageRow[]): Omit<UsageSum, "name"> {
  const sum = (value: (row: UsageRow) => number) => rows.reduce((all, row) => all + value(row), 0);
  return {
    requests: sum((row) => row.requests),
    promptTokens: sum((row) => row.prompt_tokens),
    cachedTokens: sum((row) => row.cached_tokens),
    completionTokens: sum((row) => row.completion_tokens),
    trainedTokens: sum((row) => row.trained_tokens),
    amount: rows.reduce((all, row) => all + nanoUsd(row.amount_usd), 0n),
  };
}

export function tokensOf(sum: Omit<UsageSum, "name">): number {
  return sum.promptTokens + sum.completionTokens + sum.trainedTokens;
}

/** The groups that get a colour of their own: all, or the first five and the rest. */
export function colouredGroups(sums: readonly UsageSum[]): readonly string[] {
  const names = sums.map(({ name }) => name);
  return names.length <= COLOURS ? names : [...names.slice(0, COLOURS - 1), OTHERS];
}

/** Every day of the time, also those on which nothing happened. */
export function dayColumns(
  rows: readonly UsageRow[],
  groups: readonly string[],
  dimension: Dimension,
  measure: Measure,
  span: { readonly since_ms: number; readonly until_ms: number },
): readonly DayColumn[] {
  const byDay = Map.groupBy(rows, (row) => row.day ?? "");
  const columns: DayColumn[] = [];
  for (let at = Math.floor(span.since_ms / DAY_MS) * DAY_MS; at < span.until_ms; at += DAY_MS) {
    const day = new Date(at).toISOString().slice(0, 10);
    const parts = groups.map(() => 0n);
    for (const row of byDay.get(day) ?? []) {
      const place = groups.indexOf(nameIn(row, dimension));
      parts[place === -1 ? groups.length - 1 : place]! += amountOf(row, measure);
    }
    columns.push({ day, parts, total: parts.reduce((sum, part) => sum + part, 0n) });
  }
  return columns;
}

function amountOf(row: UsageRow, measure: Measure): bigint {
  return measure === "money" ? nanoUsd(row.amount_usd) : BigInt(row.prompt_tokens + row.completion_tokens + row.trained_tokens);
}

function compare(one: bigint, other: bigint): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
