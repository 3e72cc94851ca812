import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, test } from "vitest";
import { Fault, systemClock } from "#kernel";
import { FinishReason, GenerateResponse, type Handlers, InferenceServiceService, implement, startGrpcServer } from "#proto";
import { openDocumentedClient } from "./documented-client.ts";
import { sizedAsk } from "./load-customer.ts";

/** gRPC's own client with the service config of docs/drain.md, against a server that refuses as told. */

async function answered(refusals: readonly Fault[], piecesBefore = 0, ask = sizedAsk(2, 2)) {
  const left = [...refusals];
  let calls = 0;
  const unused = async () => {
    throw new Fault("op_unsupported", "not in this test");
  };
  const handlers: Handlers<typeof InferenceServiceService> = {
    async *generate() {
      calls++;
      const piece = { requestId: "r", text: "a", tokenIds: [1], usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1 } };
      for (let count = 0; count < piecesBefore; count++) yield GenerateResponse.fromPartial(piece);
      const refusal = left.shift();
      if (refusal) throw refusal;
      yield GenerateResponse.fromPartial({ ...piece, finishReason: FinishReason.FINISH_REASON_STOP });
    },
    score: unused,
    countTokens: unused,
  };
  const implementation = implement(InferenceServiceService, handlers, { clock: systemClock });
  const service = { name: "deltaplane.v1.InferenceService", definition: InferenceServiceService, implementation };
  await using server = await startGrpcServer({ listen: "127.0.0.1:0", services: [service], clock: systemClock });
  using client = openDocumentedClient([{ grpc: `127.0.0.1:${server.port}`, http: "" }], "key");
  const from = performance.now();
  const { ending, fault } = await client.overGrpc(ask);
  return { ending, reason: fault?.reason, calls, tookMs: performance.now() - from };
}

const full = (waitMs: number) => new Fault("queue_full", "too many", { retry: { kind: "after", waitMs } });

test("repeats what was refused for want of room, no sooner than it was told", async () => {
  const { tookMs, ...end } = await answered([full(400)]);
  expect(end).toEqual({ ending: "completed", reason: undefined, calls: 2 });
  expect(tookMs).toBeGreaterThan(390); // Its own backoff would be 0.12 s at most.
});

test("repeats what a stopping router, a node that went away or a rate limit refused", async () => {
  const soon = { retry: { kind: "after", waitMs: 10 } } as const;
  const refusals = [new Fault("shutting_down", "", soon), new Fault("node_lost", ""), new Fault("rate_exceeded", "", soon)];
  expect(await answered(refusals)).toMatchObject({ ending: "completed", calls: 4 });
});

test("repeats nothing that would be refused again: what is spent is spent", async () => {
  expect(await answered([new Fault("budget_spent", "")])).toMatchObject({ ending: "failed", reason: "budget_spent", calls: 1 });
  const unchanging = new Fault("rate_exceeded", "", { retry: { kind: "never" } });
  expect(await answered([unchanging])).toMatchObject({ ending: "failed", reason: "rate_exceeded", calls: 1 });
});

test("sends no request twice that is too large, which gRPC's own library refuses", async () => {
  let streams = 0;
  const count = () => streams++;
  subscribe("http2.server.stream.created", count);
  expect(await answered([], 0, sizedAsk(440_000, 2))).toMatchObject({ ending: "failed", reason: "message_too_large", calls: 0 });
  unsubscribe("http2.server.stream.created", count);
  expect(streams).toBe(1);
});

test("repeats nothing of which a part was delivered, and gives up after five times", async () => {
  expect(await answered([full(1)], 1)).toMatchObject({ ending: "failed", reason: "queue_full", calls: 1 });
  expect(await answered(Array(9).fill(full(1)))).toMatchObject({ ending: "failed", reason: "queue_full", calls: 5 });
});
