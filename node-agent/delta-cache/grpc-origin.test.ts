import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { asBaseDigest, asDeltaDigest, asTenantId, Fault, type FaultReason, VirtualClock } from "#kernel";
import type { DownloadDeltaResponse, GrpcChannel } from "#proto";
import { createGrpcOrigin, createPeerFetch } from "./grpc-origin.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-origin-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const REFERENCE = { digest: asDeltaDigest("d".repeat(64)), tenantId: asTenantId("acme"), baseDigest: asBaseDigest("b".repeat(64)) };
const piece = ($case: "config" | "weights", text: string): DownloadDeltaResponse => ({ part: { $case, value: Buffer.from(text) } });

/** A router that sends these pieces, and then breaks off if it is to. */
function router(pieces: readonly DownloadDeltaResponse[], end?: FaultReason): GrpcChannel {
  async function* serverStream() {
    yield* pieces;
    if (end) throw new Fault(end, "the router died");
  }
  return { serverStream } as unknown as GrpcChannel;
}

test("what a router that died in the middle has left is not in the way of the next one", async () => {
  const dying = router([piece("config", "{half"), piece("weights", "1234567")], "node_lost");
  const origin = createGrpcOrigin([dying, router([piece("config", "{}"), piece("weights", "12"), piece("weights", "34")])]);
  await origin.fetch(REFERENCE, folder, 1000, new AbortController().signal);
  expect(readFileSync(join(folder, "adapter_config.json"), "utf8")).toBe("{}");
  expect(readFileSync(join(folder, "adapter_model.safetensors"), "utf8")).toBe("1234");
});

test("a router that says no is believed, and the next one is not asked", async () => {
  const origin = createGrpcOrigin([router([], "resource_unknown"), router([piece("config", "{}"), piece("weights", "1")])]);
  await expect(origin.fetch(REFERENCE, folder, 1000, new AbortController().signal)).rejects.toMatchObject({ reason: "resource_unknown" });
});

test("when no router answers, the delta is unavailable for now", async () => {
  const origin = createGrpcOrigin([router([], "node_lost"), router([], "store_unreachable")]);
  await expect(origin.fetch(REFERENCE, folder, 1000, new AbortController().signal)).rejects.toMatchObject({ reason: "delta_unavailable" });
});

/** A node whose messages come when the test says so. */
function peer(messages: AsyncIterable<DownloadDeltaResponse>): GrpcChannel {
  return { serverStream: () => messages, async [Symbol.asyncDispose]() {} } as unknown as GrpcChannel;
}

test("a node that says nothing at all is left for the next source", async () => {
  const clock = new VirtualClock();
  const asked = Promise.withResolvers<void>();
  const never = (async function* () {
    asked.resolve();
    await new Promise<void>(() => undefined);
    yield piece("config", "{}");
  })();
  const fetched = createPeerFetch(clock, () => peer(never))("node-1:1", REFERENCE, folder, 1000, new AbortController().signal);
  const left = expect(fetched).rejects.toMatchObject({ reason: "node_lost", message: expect.stringContaining("node-1:1") });
  await asked.promise;
  await clock.advance(250);
  await left;
});

test("a node that has given a sign of life is waited for, however long its own source takes", async () => {
  const clock = new VirtualClock();
  const arrived = Promise.withResolvers<void>();
  const slow = (async function* () {
    yield { part: undefined };
    await arrived.promise;
    yield piece("config", "{}");
    yield piece("weights", "12");
  })();
  const fetched = createPeerFetch(clock, () => peer(slow))("node-1:1", REFERENCE, folder, 1000, new AbortController().signal);
  await clock.advance(20_000);
  arrived.resolve();
  await fetched;
  expect(readFileSync(join(folder, "adapter_model.safetensors"), "utf8")).toBe("12");
});
