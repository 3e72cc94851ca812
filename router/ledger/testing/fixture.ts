import {
  asBaseDigest,
  asKeyId,
  asProjectId,
  asRequestId,
  asTenantId,
  type Claim,
  type Clock,
  Fault,
  type Millis,
  seededRandom,
  systemClock,
  type TenantId,
  type Usage,
} from "#kernel";
import type { Journal } from "#state";
import type { PriceRecord } from "../../catalog/index.ts";
import { type BookTotals, readLines, readTotals } from "../book-totals.ts";
import type { Charge, Ledger } from "../contract.ts";
import { createLedger, type LedgerDeps, type LedgerEvents } from "../ledger.ts";
import { type Recount, recountBook } from "../recount.ts";

/** 2026-11-23, noon. */
export const NOON: Millis = Date.UTC(2026, 10, 23, 12);

const list = (version: number, prompt: number, cached: number, completion: number): PriceRecord => ({
  ...{ version, plan: "standard", effectiveFrom: 0, gpuHour: "2000000000" },
  default: { prompt, cached, completion, training: 3 * prompt },
  bases: { cheap: { prompt: 1, cached: 0, completion: 3, training: 7 } },
});

export const PRICES: ReadonlyMap<number, PriceRecord> = new Map([
  [1, list(1, 100, 25, 400)],
  [2, list(2, 1_000, 250, 4_000)],
]);

/** A claim as a router writes it; without key, project and model it is as a node's. */
export function claimOf(requestId: string, usage: Partial<Usage>, more: Partial<Claim> = {}): Claim {
  return {
    ...{ requestId: asRequestId(requestId), attempt: 1, tenantId: asTenantId("acme") },
    ...{ baseDigest: asBaseDigest("b".repeat(64)), baseName: "demo-base", priceVersion: 1, outcome: "running", admittedAt: NOON },
    usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0, ...usage },
    ...more,
  };
}

/** What only the router knows. */
export const ROUTER = { keyId: asKeyId("0123456789abcdef"), projectId: asProjectId("default"), model: "acme/support" } as const;

export interface LedgerUnderTest {
  readonly ledger: Ledger;
  readonly counts: { entries: number; late: number; conflicts: number };
}

/** Claims that nobody asked for before they came. */
export const NOTHING_HELD: LedgerDeps["meters"] = { release: async () => undefined };

/** A ledger as one router has it. */
export function ledgerOver(journal: Journal, options: { readonly now?: () => Millis; readonly seed?: number } = {}): LedgerUnderTest {
  const counts = { entries: 0, late: 0, conflicts: 0 };
  const events: LedgerEvents = {
    entriesPosted: (count) => {
      counts.entries += count;
    },
    lateClaims: (count) => {
      counts.late += count;
    },
    conflict: () => {
      counts.conflicts++;
    },
  };
  const clock: Clock = { ...systemClock, now: options.now ?? (() => NOON) };
  const random = seededRandom(options.seed ?? 1);
  const price = async (version: number) => PRICES.get(version);
  return { ledger: createLedger({ journal, meters: NOTHING_HELD, clock, random, price, events }), counts };
}

/** Posts as an outbox does: again, until it is done. */
export async function postUntilDone(ledger: Ledger, claims: readonly Claim[]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return await ledger.post(claims);
    } catch (error) {
      if (!(error instanceof Fault) || error.retry.kind === "never") throw error;
    }
  }
  throw new Error("a hundred tries were not enough");
}

/** Loses the reply of a commit or of a read with this probability; what was to be written is written. */
export function losingReplies(journal: Journal, random: { float(): number }, probability: number): Journal {
  const lose = async <T>(reply: Promise<T>): Promise<T> => {
    const result = await reply;
    if (random.float() < probability) throw new Fault("store_unreachable", "the reply was lost");
    return result;
  };
  return {
    read: (asks) => lose(journal.read(asks)),
    commit: (changes) => lose(journal.commit(changes)),
    lines: (book, from, count) => journal.lines(book, from, count),
    counters: (book, groups) => journal.counters(book, groups),
    groups: (book) => journal.groups(book),
    books: () => journal.books(),
  };
}

/** The same journal, with some of it replaced. */
export function journalWith(journal: Journal, changed: Partial<Journal>): Journal {
  return { ...losingReplies(journal, { float: () => 1 }, 0), ...changed };
}

export async function recountOf(journal: Journal, book: string, totals?: BookTotals): Promise<Recount> {
  const told = totals ?? (await readTotals({ journal, clock: systemClock }, book));
  return recountBook({ book, lines: readLines(journal, book, told.head), totals: told, prices: PRICES });
}

export async function accountsOf(journal: Journal, book: string): Promise<ReadonlyMap<string, bigint>> {
  return (await journal.counters(book, ["accounts"]))[0]!;
}

export async function chargesOf(
  ledger: Ledger,
  tenantId: TenantId,
  since = 0,
  until = Number.MAX_SAFE_INTEGER,
): Promise<readonly Charge[]> {
  return Array.fromAsync(ledger.charges(tenantId, since, until));
}

const OUTCOMES = ["running", "failed", "cancelled", "completed"] as const;

/** What the claims of a request must come to, the dumb way: all of them at once. */
export function expectedCharge(claims: readonly Claim[]): Charge {
  const [first] = claims;
  const largest = (field: keyof Usage) => Math.max(...claims.map(({ usage }) => usage[field] ?? 0));
  const usage = {
    promptTokens: largest("promptTokens"),
    cachedTokens: largest("cachedTokens"),
    completionTokens: largest("completionTokens"),
    trainedTokens: largest("trainedTokens"),
  };
  const { bases, default: standard } = PRICES.get(first!.priceVersion)!;
  const rates = bases[first!.baseName] ?? standard;
  const computed = usage.promptTokens - usage.cachedTokens;
  const answered = usage.completionTokens * rates.completion + usage.trainedTokens * rates.training;
  const known = claims.find(({ keyId }) => keyId !== undefined);
  return {
    requestId: first!.requestId,
    tenantId: first!.tenantId,
    ...(known && { projectId: known.projectId!, keyId: known.keyId!, model: known.model! }),
    baseName: first!.baseName,
    priceVersion: first!.priceVersion,
    admittedAt: first!.admittedAt,
    outcome: OUTCOMES[Math.max(...claims.map(({ outcome }) => OUTCOMES.indexOf(outcome)))]!,
    ...usage,
    amount: BigInt(computed * rates.prompt + usage.cachedTokens * rates.cached + answered),
  };
}
