import { expect, test } from "vitest";
import { durationText, rateLimitHeaders } from "./rate-limit-headers.ts";

test.each([
  [0, "0ms"],
  [11.2, "12ms"],
  [999, "999ms"],
  [999.5, "1s"],
  [1000, "1s"],
  [1001, "2s"],
  [60_000, "1m0s"],
  [360_000, "6m0s"],
  [59_999, "1m0s"],
  [3_605_000, "1h0m5s"],
])("%d ms is written %s", (waitMs, text) => {
  expect(durationText(waitMs)).toBe(text);
});

test("of the two limits of tokens the one that is nearer to its end is told", () => {
  const meters = [
    { meter: "requests", left: 59, limit: 60, fullInMs: 1000 },
    { meter: "tokens_in", left: 900, limit: 1000, fullInMs: 6000 },
    { meter: "tokens_out", left: 400.7, limit: 800, fullInMs: 30_000 },
  ];
  expect(rateLimitHeaders(meters)).toEqual({
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "800",
    "x-ratelimit-remaining-tokens": "400",
    "x-ratelimit-reset-tokens": "30s",
  });
});

test("who has no limit is told of none; who is over it has nothing left", () => {
  expect(rateLimitHeaders([])).toEqual({});
  expect(rateLimitHeaders([{ meter: "requests", left: -3, limit: 0, fullInMs: 5 }])).toMatchObject({
    "x-ratelimit-remaining-requests": "0",
  });
});
