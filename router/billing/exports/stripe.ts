import { HOUR, type Millis, type NanoUsd, sha256Hex, type TenantId } from "#kernel";
import { startOf } from "../period.ts";
import type { Exporter } from "./contract.ts";
import { daysOf, type TenantDay } from "./days.ts";

/** What Stripe takes as an event's identifier. */
const IDENTIFIER_CHARACTERS_MAX = 100;

/** What one tenant came to in one hour. Token counts only grow; the amount may fall with a correction. */
interface Hour {
  prompt: number;
  cached: number;
  completion: number;
  training: number;
  amount: NanoUsd;
  /** Grows with every posting that changes the hour. */
  postings: number;
}

/** By event name: the value, and which state of the hour it is, 0 where there was nothing. Every change gives a larger one. */
const METERS: readonly (readonly [eventName: string, value: (hour: Hour) => number | bigint, revision: (hour: Hour) => number])[] = [
  ["deltaplane_prompt_tokens", (hour) => hour.prompt, (hour) => hour.prompt + 2 * hour.cached],
  ["deltaplane_cached_tokens", (hour) => hour.cached, (hour) => hour.cached],
  ["deltaplane_completion_tokens", (hour) => hour.completion, (hour) => hour.completion],
  ["deltaplane_trained_tokens", (hour) => hour.training, (hour) => hour.training],
  ["deltaplane_spend_nano_usd", (hour) => hour.amount, (hour) => hour.postings],
];

/**
 * Billing meter events, one JSON object a line: whole values, one per meter, tenant and hour. Meters are pre-aggregated
 * by the hour (`event_time_window: hour`), so that a later revision of an hour takes the place of the earlier.
 * `deltaplane_prompt_tokens` counts those that were computed; the spend meter holds the exact amount, corrections included.
 */
export const stripe: Exporter = async function* (source) {
  for (const tenantId of source.tenantIds) {
    for await (const day of daysOf(source, tenantId, ["hour"])) {
      for (const [at, hour] of hoursOf(day)) {
        for (const [eventName, value, revision] of METERS) {
          if (revision(hour) === 0) continue;
          yield `${JSON.stringify(event(tenantId, eventName, at, String(value(hour)), revision(hour)))}\n`;
        }
      }
    }
  }
};

function hoursOf({ rows, corrections }: TenantDay): readonly (readonly [Millis, Hour])[] {
  const hours = new Map<Millis, Hour>();
  const at = (start: Millis) => {
    const hour = hours.get(start) ?? { prompt: 0, cached: 0, completion: 0, training: 0, amount: 0n, postings: 0 };
    hours.set(start, hour);
    return hour;
  };
  for (const row of rows) {
    const hour = at(row.start!);
    hour.prompt += row.promptTokens - row.cachedTokens;
    hour.cached += row.cachedTokens;
    hour.completion += row.completionTokens;
    hour.training += row.trainedTokens;
    hour.amount += row.amount;
    hour.postings += row.promptTokens + row.cachedTokens + row.completionTokens + row.trainedTokens;
  }
  for (const { postedAt, amount } of corrections) {
    const hour = at(startOf(HOUR, postedAt));
    hour.amount += amount;
    hour.postings += 1;
  }
  return [...hours].sort(([one], [other]) => one - other);
}

function event(tenantId: TenantId, eventName: string, at: Millis, value: string, revision: number): object {
  const hour = new Date(at).toISOString().slice(0, 13);
  const identifier = (tenant: string) => `${tenant}:${eventName}:${hour}:${revision}`;
  const named = identifier(tenantId);
  return {
    event_name: eventName,
    identifier: named.length <= IDENTIFIER_CHARACTERS_MAX ? named : identifier(sha256Hex(tenantId).slice(0, 16)),
    timestamp: at / 1000,
    payload: { stripe_customer_id: tenantId, value },
  };
}
