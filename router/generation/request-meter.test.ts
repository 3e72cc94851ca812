import { expect, test } from "vitest";
import { asBaseDigest, asKeyId, asNodeId, asRequestId, asTenantId, type Claim, type ClaimOutbox, Fault, VirtualClock } from "#kernel";
import { RequestMeter } from "./request-meter.ts";

const SERVING = { attempt: 1, nodeId: asNodeId("a") };
const usage = (completionTokens: number) => ({ promptTokens: 5, cachedTokens: 0, completionTokens });

function meterOver(write: (claim: Claim) => Promise<void>) {
  const clock = new VirtualClock();
  const outbox: ClaimOutbox = { write, pending: 0, flush: async () => undefined, [Symbol.asyncDispose]: async () => undefined };
  const facts = {
    ...{ requestId: asRequestId("r"), tenantId: asTenantId("acme"), keyId: asKeyId("k"), baseDigest: asBaseDigest("b") },
    ...{ baseName: "demo-base", model: "demo-base", priceVersion: 1, admittedAt: 0 },
  };
  return { clock, meter: new RequestMeter({ outbox, clock }, facts) };
}

test("tokens are claimed in groups of 8, or every half second", async () => {
  const claimed: number[] = [];
  const { clock, meter } = meterOver(async (claim) => void claimed.push(claim.usage.completionTokens));
  for (let tokens = 1; tokens <= 20; tokens++) {
    expect(meter.running(usage(tokens), SERVING)).toBeUndefined();
    await clock.advance(0);
  }
  expect(claimed).toEqual([8, 16]);
  await clock.advance(500);
  void meter.running(usage(21), SERVING);
  expect(claimed).toEqual([8, 16, 21]);
});

test("a slow disk makes groups larger, and the stream waits rather than let more than 16 tokens be lost", async () => {
  const claimed: number[] = [];
  let synced = Promise.withResolvers<void>();
  const { clock, meter } = meterOver(async (claim) => {
    claimed.push(claim.usage.completionTokens);
    await synced.promise;
  });
  for (let tokens = 1; tokens <= 16; tokens++) expect(meter.running(usage(tokens), SERVING)).toBeUndefined();
  expect(claimed).toEqual([8]);
  let handedOut = false;
  const waiting = meter.running(usage(17), SERVING)!.then(() => {
    handedOut = true;
  });
  await clock.advance(0);
  expect(handedOut).toBe(false);
  synced.resolve();
  await waiting;
  synced = Promise.withResolvers();
  const large = meter.running(usage(60), SERVING)!;
  expect(claimed).toEqual([8, 60]);
  synced.resolve();
  await large;
});

test("what could not be written is told with the next token", async () => {
  const { clock, meter } = meterOver(() => Promise.reject(new Fault("store_unreachable", "the disk is full")));
  void meter.running(usage(16), SERVING);
  await clock.advance(0);
  expect(() => meter.running(usage(17), SERVING)).toThrow(/disk is full/);
});

test("a request settles once, and one that got nothing not at all", async () => {
  const outcomes: string[] = [];
  const { meter } = meterOver(async (claim) => void outcomes.push(claim.outcome));
  await meter.settle("completed", usage(3), SERVING);
  await meter.settle("cancelled", usage(3), SERVING);
  expect(outcomes).toEqual(["completed"]);
  const other = meterOver(async (claim) => void outcomes.push(claim.outcome));
  await other.meter.settle("failed", { promptTokens: 0, cachedTokens: 0, completionTokens: 0 }, SERVING);
  expect(outcomes).toEqual(["completed"]);
});
