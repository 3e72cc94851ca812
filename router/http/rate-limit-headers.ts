import { type Millis, SECOND } from "#kernel";
import type { Admitted } from "../contract.ts";

type Meters = Admitted["meters"];

/**
 * What is left of the caller's limits, as OpenAI's clients read it. OpenAI has one limit of tokens, we one for what comes
 * in and one for what goes out: the one of which the smaller share is left is told, for it stops the caller first.
 */
export function rateLimitHeaders(meters: Meters): Record<string, string> {
  const requests = meters.filter((each) => each.meter === "requests");
  const tokens = meters.filter((each) => each.meter === "tokens_in" || each.meter === "tokens_out");
  return { ...headersOf("requests", requests), ...headersOf("tokens", tokens) };
}

function headersOf(what: string, meters: Meters): Record<string, string> {
  const [tightest] = [...meters].sort((one, other) => share(one) - share(other));
  if (!tightest) return {};
  return {
    [`x-ratelimit-limit-${what}`]: String(tightest.limit),
    [`x-ratelimit-remaining-${what}`]: String(Math.max(0, Math.floor(tightest.left))),
    [`x-ratelimit-reset-${what}`]: durationText(tightest.fullInMs),
  };
}

function share({ left, limit }: Meters[number]): number {
  return limit === 0 ? 0 : left / limit;
}

/** `12ms`, `1s`, `6m0s`, `1h0m5s`: rounded up, so that nobody comes back too early. */
export function durationText(waitMs: Millis): string {
  const wholeMs = Math.max(0, Math.ceil(waitMs));
  if (wholeMs < SECOND) return `${wholeMs}ms`;
  const seconds = Math.ceil(wholeMs / SECOND);
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds}s`;
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds % 60}s`;
}
