import { hash } from "node:crypto";
import type { Claim, Millis, NanoUsd, Usage } from "#kernel";
import type { Line } from "#state";

/**
 * What the books say. A line's text is JSON without blanks, its keys in alphabetical order, amounts as decimal strings.
 * Its hash is SHA-256 over the hash of the line before ("" for the first), a line feed, and the text: who changes one
 * line has to change all that follow. `recount.ts` reads lines by rules of its own; keep the two apart.
 */

/** Account and amount. The amounts of a line add up to 0. */
export type Posting = readonly [account: string, amount: NanoUsd];

/** What a tenant owes. */
export const receivable = (tenantId: string) => `receivable:${tenantId}`;
/** What a base has earned. */
export const revenue = (baseName: string) => `revenue:${baseName}`;
/** What corrections gave and took. */
export const ADJUSTMENTS = "adjustments";

/** A claim that changed something, as it came. */
export function claimText(claim: Claim, at: Millis): string {
  const { admittedAt, attempt, baseDigest, baseName, deltaDigest, keyId, model, nodeId } = claim;
  const { outcome, priceVersion, projectId, requestId, tenantId } = claim;
  const what = { admittedAt, attempt, baseDigest, baseName, deltaDigest, keyId, model, nodeId };
  const record = { ...what, outcome, priceVersion, projectId, requestId, tenantId, usage: usageRecord(claim.usage) };
  return JSON.stringify({ at, claim: record, kind: "claim" });
}

/** What a claim added to its request's charge. */
export function entryText(entry: {
  readonly at: Millis;
  readonly requestId: string;
  readonly priceVersion: number;
  readonly added: Usage;
  readonly amount: NanoUsd;
  readonly postings: readonly Posting[];
}): string {
  const { at, priceVersion, requestId } = entry;
  const postings = postingsRecord(entry.postings);
  return JSON.stringify({
    ...{ amount: entry.amount.toString(), at, kind: "entry", postings, priceVersion, requestId },
    tokens: usageRecord(entry.added),
  });
}

export function correctionText(correction: {
  readonly at: Millis;
  readonly id: string;
  readonly requestId?: string;
  readonly amount: NanoUsd;
  readonly reason: string;
  readonly postings: readonly Posting[];
}): string {
  const { at, id, reason, requestId } = correction;
  const postings = postingsRecord(correction.postings);
  return JSON.stringify({ amount: correction.amount.toString(), at, id, kind: "correction", postings, reason, requestId });
}

/** How long nodes stood ready with a base, by day. */
export function nodeHoursText(hours: {
  readonly at: Millis;
  readonly holder: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly sums: readonly { readonly day: string; readonly base: string; readonly nodeMs: Millis }[];
}): string {
  const { at, epoch, holder, sequence } = hours;
  const sums = hours.sums.map(({ base, day, nodeMs }) => ({ base, day, nodeMs }));
  return JSON.stringify({ at, epoch, holder, kind: "node-hours", sequence, sums });
}

/** The line that follows one with `previousHash`. */
export function chained(previousHash: string, text: string): Line {
  return { text, hash: hash("sha256", `${previousHash}\n${text}`) };
}

/** What readers of a book look for in a line; the rest of it is for the recount. */
export interface LineHeader {
  readonly at: Millis;
  readonly kind: string;
  /** Of a claim. */
  readonly requestId: string | undefined;
}

export function lineHeader(text: string): LineHeader {
  const line = JSON.parse(text) as { at: Millis; kind: string; claim?: { requestId: string } };
  return { at: line.at, kind: line.kind, requestId: line.claim?.requestId };
}

/** Trained tokens only where there are some: the lines of all other requests stay as short as they can be. */
function usageRecord({ cachedTokens, completionTokens, promptTokens, trainedTokens }: Usage): Usage {
  return { cachedTokens, completionTokens, promptTokens, ...(trainedTokens ? { trainedTokens } : {}) };
}

function postingsRecord(postings: readonly Posting[]): readonly (readonly [string, string])[] {
  return postings.map(([account, amount]) => [account, amount.toString()]);
}
