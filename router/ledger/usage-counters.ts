import { DAY, MINUTE, type Millis } from "#kernel";
import type { OpenBook } from "./open-book.ts";
import type { RequestState } from "./request-state.ts";

/**
 * The rollups of a book: what the requests that were admitted in one minute, alike in project, key, model, base and
 * price version, come to. A group per UTC day, `usage/2026-11-23`; a counter's name is a JSON array.
 */

/** What is summed up. `nanoUsd` is the amount charged. */
export type Measure = "requests" | "prompt" | "cached" | "completion" | "training" | "nanoUsd";

export interface UsageCounter {
  /** Of the UTC day. */
  readonly minute: number;
  readonly projectId: string | null;
  readonly keyId: string | null;
  readonly model: string | null;
  readonly baseName: string;
  readonly priceVersion: number;
  readonly measure: Measure;
}

const PREFIX = "usage/";

/** "2026-11-23" */
export function dayOf(at: Millis): string {
  return new Date(at).toISOString().slice(0, 10);
}

function usageGroup(day: string): string {
  return `${PREFIX}${day}`;
}

/** Where the day of a group begins; undefined for a group of something else. */
export function dayStartOf(group: string): Millis | undefined {
  return group.startsWith(PREFIX) ? Date.parse(`${group.slice(PREFIX.length)}T00:00:00Z`) : undefined;
}

export function parseUsageCounter(name: string): UsageCounter {
  const [minute, projectId, keyId, model, baseName, priceVersion, measure] = JSON.parse(name) as UsageCounterName;
  return { minute, projectId, keyId, model, baseName, priceVersion, measure };
}

type UsageCounterName = [number, string | null, string | null, string | null, string, number, Measure];

/** Counts what a request has grown by. When more became known of it, all of it moves to where it now belongs. */
export function countUsage(book: OpenBook, before: RequestState | undefined, after: RequestState): void {
  if (before && alike(before, after)) {
    add(book, after, { requests: 0n, ...difference(after, before) });
    return;
  }
  if (before) add(book, before, { requests: -1n, ...difference(undefined, before) });
  add(book, after, { requests: 1n, ...difference(after, undefined) });
}

function alike(one: RequestState, other: RequestState): boolean {
  return one.projectId === other.projectId && one.keyId === other.keyId && one.model === other.model;
}

type Amounts = Readonly<Record<Measure, bigint>>;

function add(book: OpenBook, state: RequestState, amounts: Amounts): void {
  const group = usageGroup(dayOf(state.admittedAt));
  const minute = Math.floor((state.admittedAt % DAY) / MINUTE);
  const { projectId = null, keyId = null, model = null, baseName, priceVersion } = state;
  for (const [measure, amount] of Object.entries(amounts) as [Measure, bigint][]) {
    if (amount === 0n) continue;
    const name: UsageCounterName = [minute, projectId, keyId, model, baseName, priceVersion, measure];
    book.count(group, JSON.stringify(name), amount);
  }
}

/** Of the sums of two states; an absent one has none. */
function difference(to: RequestState | undefined, from: RequestState | undefined): Omit<Amounts, "requests"> {
  const tokens = (field: keyof RequestState["usage"]) => BigInt((to?.usage[field] ?? 0) - (from?.usage[field] ?? 0));
  return {
    prompt: tokens("promptTokens"),
    cached: tokens("cachedTokens"),
    completion: tokens("completionTokens"),
    training: tokens("trainedTokens"),
    nanoUsd: (to?.amount ?? 0n) - (from?.amount ?? 0n),
  };
}
