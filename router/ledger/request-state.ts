import { type Claim, mergeUsage, type NanoUsd, type Outcome, type Usage } from "#kernel";
import { amountOf, type Rates } from "../prices/index.ts";

/** What the claims of one request come to; its book's value `request/<id>`. */
export interface RequestState {
  readonly projectId: string | undefined;
  readonly keyId: string | undefined;
  readonly model: string | undefined;
  readonly baseName: string;
  readonly deltaDigest: string | undefined;
  readonly priceVersion: number;
  /** Of the price version and the base: price lists never change, so a copy is as good, and nothing has to be looked up. */
  readonly rates: Rates;
  readonly admittedAt: number;
  readonly outcome: Outcome;
  readonly usage: Usage;
  /** What was charged so far: `usage` at `rates`, always. */
  readonly amount: NanoUsd;
  /** The router's own last claim has come: its hold is released. */
  readonly settled: boolean;
  /** The line of its first claim. */
  readonly position: number;
}

/** What is known of how a request ended, from least to best: a failed attempt that another one completed was completed. */
const OUTCOMES: readonly Outcome[] = ["running", "failed", "cancelled", "completed"];

export function requestKey(requestId: string): string {
  return `request/${requestId}`;
}

/** The state after a request's first claim, which stands at `position`. */
export function firstState(claim: Claim, rates: Rates, position: number): RequestState {
  return {
    projectId: claim.projectId,
    keyId: claim.keyId,
    model: claim.model,
    baseName: claim.baseName,
    deltaDigest: claim.deltaDigest,
    priceVersion: claim.priceVersion,
    rates,
    admittedAt: claim.admittedAt,
    outcome: claim.outcome,
    usage: claim.usage,
    amount: amountOf(rates, claim.usage),
    settled: settles(claim),
    position,
  };
}

/** The state after one more claim; `known` itself when that says nothing new. */
export function mergeClaim(known: RequestState, claim: Claim): RequestState {
  const usage = mergeUsage(known.usage, claim.usage);
  const merged: RequestState = {
    ...known,
    projectId: known.projectId ?? claim.projectId,
    keyId: known.keyId ?? claim.keyId,
    model: known.model ?? claim.model,
    deltaDigest: known.deltaDigest ?? claim.deltaDigest,
    outcome: OUTCOMES.indexOf(claim.outcome) > OUTCOMES.indexOf(known.outcome) ? claim.outcome : known.outcome,
    usage,
    amount: amountOf(known.rates, usage),
    settled: known.settled || settles(claim),
  };
  return same(known, merged) ? known : merged;
}

/** Whether this is the router's last word on a request; only the router knows the key. */
export function settles(claim: Claim): boolean {
  return claim.keyId !== undefined && claim.outcome !== "running";
}

const GROWING = ["projectId", "keyId", "model", "deltaDigest", "outcome", "settled"] as const satisfies readonly (keyof RequestState)[];
const COUNTS = ["promptTokens", "cachedTokens", "completionTokens", "trainedTokens"] as const satisfies readonly (keyof Usage)[];

function same(one: RequestState, other: RequestState): boolean {
  return (
    GROWING.every((field) => one[field] === other[field]) && COUNTS.every((field) => (one.usage[field] ?? 0) === (other.usage[field] ?? 0))
  );
}

export function encodeState(state: RequestState): string {
  const { prompt, cached, completion, training } = state.rates;
  const { promptTokens, cachedTokens, completionTokens, trainedTokens = 0 } = state.usage;
  return JSON.stringify({
    ...state,
    rates: [Number(prompt), Number(cached), Number(completion), Number(training)],
    usage:
      trainedTokens === 0 ? [promptTokens, cachedTokens, completionTokens] : [promptTokens, cachedTokens, completionTokens, trainedTokens],
    amount: state.amount.toString(),
  });
}

type Encoded = Omit<RequestState, "rates" | "usage" | "amount"> & {
  readonly rates: readonly [prompt: number, cached: number, completion: number, training?: number];
  /** The fourth: trained tokens, of a fine-tuning job. */
  readonly usage: readonly [number, number, number, number?];
  readonly amount: string;
};

export function decodeState(text: string): RequestState {
  const { rates, usage, amount, ...rest } = JSON.parse(text) as Encoded;
  return {
    ...rest,
    // Absent in JSON, but always there in memory: objects of one shape are compared and copied faster.
    projectId: rest.projectId,
    keyId: rest.keyId,
    model: rest.model,
    deltaDigest: rest.deltaDigest,
    rates: { prompt: BigInt(rates[0]), cached: BigInt(rates[1]), completion: BigInt(rates[2]), training: BigInt(rates[3] ?? 0) },
    usage: { promptTokens: usage[0], cachedTokens: usage[1], completionTokens: usage[2], trainedTokens: usage[3] ?? 0 },
    amount: BigInt(amount),
  };
}
