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
  readonly claim: {
    readonly requestId: string;
    readonly tenantId: string;
    readonly keyId?: string;
    readonly model?: string;
    readonly admittedAt: number;
    readonly usage: UsageTold;
  };
}

interface EntryLine {
  readonly kind: "entry";
  readonly requestId: string;
  readonly tokens: UsageTold;
  readonly amount: string;
}

type BookLine = ClaimLine | EntryLine | { readonly kind: "correction" | "node-hours" };

const NOTHING: UsageTold = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

/** All requests of all books, by request id. */
export async function readBooks(operator: GrpcChannel): Promise<ReadonlyMap<string, BookedRequest>> {
  const booked = new Map<string, BookedRequest>();
  for await (const { lines } of operator.serverStream(BillingServiceService.readJournal, { book: "" }))
    for (const { text } of lines) add(booked, JSON.parse(text) as BookLine);
  return booked;
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
