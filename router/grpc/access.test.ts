import type { MethodDefinition } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Fault, FaultReason } from "#kernel";
import * as proto from "#proto";
import { CLUSTER_KEY, type RouterUnderTest, runRouter } from "../testing/running-router.ts";
import { scriptedNode } from "../testing/scripted-node.ts";
import { RULES, type Rule } from "./rules.ts";

/** Services that other components serve. */
const ELSEWHERE = /\.(NodeService|ClusterService|FineTuningService)\//;

// biome-ignore lint/suspicious/noExplicitAny: the methods of all services, whatever their messages.
type AnyMethod = MethodDefinition<any, any>;

/** Every RPC that the generated descriptors know, less those of other components. */
const METHODS: readonly AnyMethod[] = Object.entries(proto)
  .filter(([name, value]) => name.endsWith("Service") && typeof value === "object")
  .flatMap(([, definition]) => Object.values(definition as unknown as Record<string, AnyMethod>))
  .filter((method) => !ELSEWHERE.test(method.path));

type Identity = "nobody" | "nonsense" | "revoked" | "infer only" | "train only" | "operator" | "cluster";
const IDENTITIES: readonly Identity[] = ["nobody", "nonsense", "revoked", "infer only", "train only", "operator", "cluster"];

/** Who gets past which rule; everyone else is refused with the reason in `REFUSALS`. */
const ADMITTED: Readonly<Record<Rule, readonly Identity[]>> = {
  infer: ["infer only", "operator"],
  train: ["train only", "operator"],
  operator: ["operator"],
  cluster: ["cluster"],
};

function refusal(rule: Rule, identity: Identity): FaultReason {
  if (identity === "nobody") return "key_missing";
  if (rule === "cluster" || identity === "nonsense" || identity === "revoked" || identity === "cluster") return "key_unknown";
  return "scope_missing";
}

let under: RouterUnderTest;
const channels = new Map<Identity, proto.GrpcChannel>();

beforeAll(async () => {
  under = await runRouter({ a: scriptedNode() });
  const revoked = await under.tenantKey("acme");
  await under.admin.unary(proto.AdminServiceService.revokeKey, { id: revoked.id });
  const credentials: Record<Identity, string | undefined> = {
    nobody: undefined,
    nonsense: "dp_nonsense",
    revoked: revoked.text,
    "infer only": (await under.tenantKey("acme", [proto.Scope.SCOPE_INFER])).text,
    "train only": (await under.tenantKey("acme", [proto.Scope.SCOPE_TRAIN])).text,
    operator: under.adminKey,
    cluster: CLUSTER_KEY,
  };
  for (const identity of IDENTITIES) channels.set(identity, under.channel(credentials[identity]));
});

afterAll(() => under[Symbol.asyncDispose]());

/** The fault that an empty request ends with; undefined for an answer. */
async function outcome(channel: proto.GrpcChannel, method: AnyMethod): Promise<Fault | undefined> {
  const empty = method.requestDeserialize(Buffer.alloc(0));
  const none = (async function* () {
    // Nothing is uploaded.
  })();
  try {
    if (method.requestStream) await channel.clientStream(method, none);
    else if (method.responseStream) await Array.fromAsync(channel.serverStream(method, empty));
    else await channel.unary(method, empty);
    return undefined;
  } catch (error) {
    return error as Fault;
  }
}

test("every RPC has a rule, and every rule an RPC", () => {
  expect(METHODS.length).toBeGreaterThan(20);
  expect(METHODS.map((method) => method.path).sort()).toEqual(Object.keys(RULES).sort());
});

describe.each(METHODS.map((method) => [method.path, method] as const))("%s", (path, method) => {
  test.each(IDENTITIES)("called by %s", async (identity) => {
    const rule = RULES[path]!;
    const fault = await outcome(channels.get(identity)!, method);
    if (ADMITTED[rule].includes(identity))
      expect(fault?.code ?? "ok").not.toMatch(/unauthenticated|permission_denied|internal|unimplemented/);
    else expect(fault?.reason).toBe(refusal(rule, identity));
  });
});
