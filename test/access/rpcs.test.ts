import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FaultReason } from "#kernel";
import { AdminServiceService, InferenceServiceService } from "#proto";
import { RULES, type Rule } from "../../router/grpc/rules.ts";
import { call, describedRpcs, emptyRequest, RPCS } from "./every-rpc.ts";
import { IDENTITIES, type Identity, type LiveSystem, outcomeOf, startLiveSystem } from "./live-system.ts";

/** Who gets past which rule. */
const ADMITTED: Readonly<Record<Rule, readonly Identity[]>> = {
  infer: ["infer only", "tenant", "operator"],
  train: ["train only", "tenant", "operator"],
  operator: ["operator"],
  cluster: ["cluster"],
};
/** Who has a good key: the rest learns nothing but that. */
const KNOWN: readonly Identity[] = ["infer only", "train only", "tenant", "operator"];

function refusal(rule: Rule, identity: Identity): FaultReason {
  if (identity === "nobody") return "key_missing";
  if (rule === "cluster") return "key_unknown";
  if (identity === "suspended tenant") return "tenant_suspended";
  return KNOWN.includes(identity) ? "scope_missing" : "key_unknown";
}

let live: LiveSystem;
beforeAll(async () => {
  live = await startLiveSystem();
});
afterAll(() => live[Symbol.asyncDispose]());

test("every RPC of the descriptors is known here, and has a rule; every rule has an RPC", () => {
  expect(RPCS.map(({ method }) => method.path).sort()).toEqual(describedRpcs());
  const ruled = RPCS.filter(({ door }) => door === "customers" || door === "operators").map(({ method }) => method.path);
  expect(ruled.sort()).toEqual(Object.keys(RULES).sort());
});

// The node's drain comes last: it refuses everything after it.
const ORDERED = [...RPCS].sort((one, other) => Number(one.method.path.endsWith("/Drain")) - Number(other.method.path.endsWith("/Drain")));

describe.each(ORDERED.map((rpc) => [rpc.method.path, rpc] as const))("%s", (_path, { method, door, rule }) => {
  test.each(IDENTITIES)("called by: %s", async (identity) => {
    const outcome = await outcomeOf(() => call(live.channel(identity, door), method, emptyRequest(method)));
    const fault = outcome.kind === "fault" ? outcome.fault : undefined;
    if (ADMITTED[rule!].includes(identity))
      expect(fault?.code ?? "ok").not.toMatch(/unauthenticated|permission_denied|internal|unimplemented/);
    else expect(fault?.reason).toBe(refusal(rule!, identity));
  });
});

test("the customers' door does not serve the administration, nor the operators' door anything else", async () => {
  const admin = await outcomeOf(() => live.channel("operator", "customers").unary(AdminServiceService.listTenants, {}));
  const { countTokens } = InferenceServiceService;
  const inference = await outcomeOf(() => call(live.channel("operator", "operators"), countTokens, emptyRequest(countTokens)));
  for (const outcome of [admin, inference]) expect(outcome).toMatchObject({ fault: { reason: "op_unsupported" } });
});

/** What the transport's own services say to an empty question. */
async function statusOf(port: number, path: string): Promise<status> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const bytes = (message: Buffer) => message;
  const answer = await new Promise<ServiceError | null>((resolve) => {
    client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error) => resolve(error));
  });
  client.close();
  return answer?.code ?? status.OK;
}

test("both doors tell whether they serve; only the operators' door tells of connections", async () => {
  const { grpcPort, adminPort } = live.under.router;
  for (const port of [grpcPort, adminPort!]) expect(await statusOf(port, "/grpc.health.v1.Health/Check")).toBe(status.OK);
  expect(await statusOf(adminPort!, "/grpc.channelz.v1.Channelz/GetServers")).toBe(status.OK);
  expect(await statusOf(grpcPort, "/grpc.channelz.v1.Channelz/GetServers")).toBe(status.UNIMPLEMENTED);
});
