import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { asBaseDigest, asDeltaDigest, asTenantId, Fault, type FaultReason } from "#kernel";
import type { DownloadDeltaResponse, GrpcChannel } from "#proto";
import { createGrpcOrigin } from "./grpc-origin.ts";

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
