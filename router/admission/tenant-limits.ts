import { Fault, MINUTE, type Millis, type NanoUsd, type RequestId, type Tokens, type Usage } from "#kernel";
import type { Sampling } from "#proto";
import type { Draw, HoldAsk, MeterState, TakeAsk } from "#state";
import type { TenantRecord } from "../catalog/index.ts";
import type { Admitted } from "../contract.ts";
import { spentCounter } from "../ledger/contract.ts";
import type { Rates } from "../prices/index.ts";
import { MAX_TOKENS_DEFAULT } from "./request-size.ts";

/** What a request may come to, as far as it is known when it comes. */
export interface LimitedRequest {
  readonly tenant: TenantRecord;
  readonly requestId: RequestId;
  /** When, milliseconds since the epoch. */
  readonly admittedAt: Millis;
  readonly promptTokensEstimate: Tokens;
  readonly promptTokensMax: Tokens;
  /** Over all choices. */
  readonly completionTokensMax: Tokens;
  readonly rates: Rates;
}

/** The names of meters, as {@link Admitted} promises them. */
const METERS = { requests: "requests", tokensIn: "tokens_in", tokensOut: "tokens_out" } as const;
/** What a store can hold exactly. */
const MONEY_MAX: NanoUsd = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * The sampling with as many tokens as the tenant's limit lets one request have: a wish beyond it is refused, what nobody
 * wished is cut to it.
 * @throws Fault parameter_invalid, naming max_tokens
 */
export function withinTokenLimit(tenant: TenantRecord | undefined, sampling: Sampling): Sampling {
  const limit = tenant?.limits.maxTokens;
  const choices = sampling.n ?? 1;
  if (limit === undefined || (sampling.maxTokens ?? MAX_TOKENS_DEFAULT) * choices <= limit) return sampling;
  const each = Math.floor(limit / choices);
  if (sampling.maxTokens === undefined && each >= 1) return { ...sampling, maxTokens: each };
  const wanted = sampling.maxTokens === undefined ? `${choices} choices` : `max_tokens is ${sampling.maxTokens} for ${choices} choices`;
  throw new Fault("parameter_invalid", `${wanted}; max_tokens over all choices is limited to ${limit}`, {
    detail: { field: "max_tokens" },
  });
}

/** What the store is asked for; undefined for a tenant that is not limited in anything that must be counted. */
export function takeAsk(request: LimitedRequest, lifeMs: Millis): TakeAsk | undefined {
  const { tenant, requestId } = request;
  const { concurrentRequests: liveMax } = tenant.limits;
  const draws = drawsOf(request);
  const hold = holdOf(request);
  if (draws.length === 0 && liveMax === undefined && !hold) return undefined;
  return { account: tenant.id, id: requestId, draws, ...(liveMax !== undefined && { liveMax }), ...(hold && { hold }), lifeMs };
}

/** By meter, what the request has come to in the end; nothing for one that was sent away. */
export function usedBy(usage: Usage | undefined): Readonly<Record<string, number>> {
  const { promptTokens = 0, completionTokens = 0 } = usage ?? {};
  return { [METERS.requests]: usage ? 1 : 0, [METERS.tokensIn]: promptTokens, [METERS.tokensOut]: completionTokens };
}

/** @throws never; gives the Fault for what the store, or this router in its place, says is short */
export function shortage(ask: TakeAsk, what: string, waitMs: Millis | undefined): Fault {
  if (what === "budget") {
    const message =
      "the budget does not cover what this request may cost (its prompt and max_tokens); ask your operator, or ask for fewer tokens";
    return new Fault("budget_spent", message);
  }
  const retry = waitMs === undefined ? ({ kind: "never" } as const) : ({ kind: "after", waitMs } as const);
  const limit = what === "live" ? `${ask.liveMax} requests at once` : `${limitOf(ask, what)} ${what.replace("_", " ")} per minute`;
  return new Fault("rate_exceeded", `the rate limit is reached: ${limit}`, { detail: { resource: what }, retry });
}

/** What the caller is told of its meters. */
export function meterReport(ask: TakeAsk, meters: readonly MeterState[]): Admitted["meters"] {
  return meters.map((state) => ({ ...state, limit: limitOf(ask, state.meter) }));
}

function limitOf(ask: TakeAsk, meter: string): number {
  return ask.draws.find((draw) => draw.meter === meter)?.limit ?? 0;
}

function drawsOf({ tenant, promptTokensEstimate, completionTokensMax }: LimitedRequest): readonly Draw[] {
  const { requestsPerMinute, inputTokensPerMinute, outputTokensPerMinute } = tenant.limits;
  const wanted = [
    [METERS.requests, 1, requestsPerMinute],
    [METERS.tokensIn, promptTokensEstimate, inputTokensPerMinute],
    [METERS.tokensOut, completionTokensMax, outputTokensPerMinute],
  ] as const;
  return wanted.flatMap(([meter, amount, limit]) => {
    if (limit === undefined) return [];
    // What is larger than the bucket would never fit: it gets through when the bucket is full, and owes the rest.
    return [{ meter, amount: Math.max(1, Math.min(amount, limit)), limit, windowMs: MINUTE }];
  });
}

/** The most that the request can cost; nothing is held where nothing is charged. */
function holdOf({ tenant, rates, promptTokensMax, completionTokensMax, admittedAt }: LimitedRequest): HoldAsk | undefined {
  if (!tenant.budget) return undefined;
  // biome-ignore lint/complexity/useMathMinMax: Math.max takes no bigint.
  const perPromptToken = rates.prompt > rates.cached ? rates.prompt : rates.cached;
  const amount = BigInt(promptTokensMax) * perPromptToken + BigInt(completionTokensMax) * rates.completion;
  if (amount === 0n) return undefined;
  const spent = spentCounter(tenant.budget.period, admittedAt);
  return { amount: atMost(amount), budget: atMost(BigInt(tenant.budget.nanoUsd)), spent };
}

function atMost(amount: NanoUsd): NanoUsd {
  return amount < MONEY_MAX ? amount : MONEY_MAX;
}
