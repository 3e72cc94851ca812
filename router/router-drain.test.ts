import { expect, test } from "vitest";
import { systemClock } from "#kernel";
import { BillingServiceService, InferenceServiceService, openChannel } from "#proto";
import { CLUSTER_KEY, runRouter } from "./testing/running-router.ts";
import { scriptedNode } from "./testing/scripted-node.ts";

const GRACE = { noticeMs: 300, streamsMs: 5_000, cutMs: 1_000, settleMs: 1_000 };
const MODEL = { model: "demo-base" };

test("a router that is told to stop is not ready, and still answers until it must have been noticed", async () => {
  await using under = await runRouter({ a: scriptedNode() }, { httpListen: "127.0.0.1:0", grace: GRACE });
  const { text: key } = await under.tenantKey("acme");
  const channel = under.channel(key);
  const http = `http://127.0.0.1:${under.router.httpPort}`;
  expect(under.router.ready()).toBe(true);
  const before = await fetch(`${http}/readyz`);
  expect([before.status, before.headers.get("connection")]).toEqual([200, "keep-alive"]);

  const drained = under.router.drain();
  expect(under.router.ready()).toBe(false);
  const during = await fetch(`${http}/readyz`);
  expect([during.status, during.headers.get("connection")]).toEqual([503, "close"]);
  const prompt = { kind: { $case: "text", value: "hello" } } as const;
  expect(await channel.unary(InferenceServiceService.countTokens, { ...MODEL, prompt })).toMatchObject({ tokens: expect.any(Number) });
  await drained;
  await expect(channel.unary(InferenceServiceService.countTokens, { ...MODEL, prompt })).rejects.toMatchObject({ code: "unavailable" });
});

test("a router with a door for the cluster's parts lets them in there and nowhere else, and nobody else there", async () => {
  await using under = await runRouter({ a: scriptedNode() }, { clusterListen: "127.0.0.1:0" });
  await using parts = openChannel({ address: `127.0.0.1:${under.router.clusterPort}`, credential: CLUSTER_KEY, clock: systemClock });
  expect(await parts.unary(BillingServiceService.submitClaims, { claims: [] })).toEqual({});
  const refusal = { reason: "scope_missing" };
  const outside = under.channel(CLUSTER_KEY);
  await expect(outside.unary(BillingServiceService.submitClaims, { claims: [] })).rejects.toMatchObject(refusal);
  const { text: credential } = await under.tenantKey("acme");
  await using customer = openChannel({ address: `127.0.0.1:${under.router.clusterPort}`, credential, clock: systemClock });
  await expect(customer.unary(InferenceServiceService.countTokens, { ...MODEL, prompt: undefined })).rejects.toMatchObject(refusal);
});
