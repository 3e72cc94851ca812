import type { Claim } from "#kernel";
import { BillingServiceService, type GrpcChannel } from "#proto";
import type { UsageTold } from "./ask.ts";

/** What the books say of one request, read from their raw lines by nobody's code but this file's. */
export interface BookedRequest {
  readonly requestId: string;
  readonly tenantId: string;
  readonly keyId: string | undefined;
  readonly model: string | undefined;
  readonly admittedAt: number;
  /** Field-wise maximum over its claims. */
  readonly claimed: UsageTold;
  /** Sum over its entries. */
  readonly charged: UsageTold;
  /** Nano-dollars, sum over its entries. */
  readonly amount: bigint;
  readonly entries: number;
}

interface ClaimLine {
  readonly kind: "claim";
  /** As a router or node wrote it. */
  readonly claim: Claim;
}

interface EntryLine {
  readonly kind: "entry";
  readonly requestId: string;
  readonly tokens: UsageTold;
  readonly amount: string;
}

type BookLine = ClaimLine | EntryLine | { readonly kind: "correction" | "node-hours" };

const NOTHING: UsageTold = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

/** What the raw lines of all books come to. */
export interface Books {
  readonly requests: ReadonlyMap<string, BookedRequest>;
  /** In the order in which they were posted, book by book. */
  readonly claims: readonly Claim[];
  readonly lines: number;
}

export async function readBooks(operator: GrpcChannel): Promise<Books> {
  const requests = new Map<string, BookedRequest>();
  const claims: Claim[] = [];
  let lines = 0;
  for await (const page of operator.serverStream(BillingServiceService.readJournal, { book: "" })) {
    lines += page.lines.length;
    for (const { text } of page.lines) {
      const line = JSON.parse(text) as BookLine;
      add(requests, line);
      if (line.kind === "claim") claims.push(line.claim);
    }
  }
  return { requests, claims, lines };
}

function add(booked: Map<string, BookedRequest>, line: BookLine): void {
  if (line.kind === "claim") {
    const { requestId, tenantId, keyId, model, admittedAt, usage } = line.claim;
    const before = booked.get(requestId) ?? { ...emptyRequest(requestId), tenantId, admittedAt };
    const claimed = combine(before.claimed, usage, Math.max);
    booked.set(requestId, { ...before, keyId: before.keyId ?? keyId, model: before.model ?? model, claimed });
  } else if (line.kind === "entry") {
    const before = booked.get(line.requestId) ?? emptyRequest(line.requestId);
    const charged = combine(before.charged, line.tokens, (sum, tokens) => sum + tokens);
    booked.set(line.requestId, { ...before, charged, amount: before.amount + BigInt(line.amount), entries: before.entries + 1 });
  }
}

function emptyRequest(requestId: string): BookedRequest {
  const unknown = { tenantId: "", keyId: undefined, model: undefined, admittedAt: 0 };
  return { requestId, ...unknown, claimed: NOTHING, charged: NOTHING, amount: 0n, entries: 0 };
}

function combine(one: UsageTold, other: UsageTold, by: (one: number, other: number) => number): UsageTold {
  return {
    promptTokens: by(one.promptTokens, other.promptTokens),
    cachedTokens: by(one.cachedTokens, other.cachedTokens),
    completionTokens: by(one.completionTokens, other.completionTokens),
  };
}
