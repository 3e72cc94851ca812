import { describe, expect, test } from "vitest";
import type { BookedRequest } from "./booked-requests.ts";
import type { Kill } from "./kills.ts";
import { type Reference, referenceKey } from "./reference-texts.ts";
import { checkStorm, type StormEvidence } from "./storm-check.ts";
import type { ShotRecord } from "./storm-load.ts";
import type { Shot } from "./storm-plan.ts";

/** A storm of one request that was served, billed and told without a flaw: each test breaks one thing and names who must notice. */
const ASK = { model: "acme/canary", prompt: "Once", maxTokens: 4, temperature: 0, seed: 1 };
const SHOT: Shot = { index: 7, tenant: "acme", key: "dp_x_y", ask: ASK, door: "grpc", router: 0 };
const REFERENCE: Reference = { text: "abcd", tokenIds: [1, 2, 3, 4], promptTokens: 2 };
const USAGE = { promptTokens: 2, cachedTokens: 0, completionTokens: 4 };
const CALL: ShotRecord["attempts"][number] = {
  ...{ router: 0, requestId: "req_1", startedAt: 1_000, endedAt: 1_200, firstPieceMs: 5, text: "abcd", tokenIds: [1, 2, 3, 4] },
  ...{ usage: USAGE, ending: "completed", fault: undefined, breaches: [] },
};
const BOOKED: BookedRequest = {
  ...{ requestId: "req_1", tenantId: "acme", keyId: "x", model: "acme/canary", admittedAt: 1_001 },
  ...{ claimed: USAGE, charged: USAGE, amount: 10n, entries: 1 },
};
const CUT = {
  ...CALL,
  text: "abc",
  tokenIds: [1, 2, 3],
  ending: "failed",
  fault: { code: "unavailable", reason: "node_lost", message: "", waitMs: undefined },
} as const;
const ROUTER_KILL: Kill = { at: 1_190, victim: "router", name: "router-1" };

function verdict(change: {
  readonly shot?: Partial<Shot>;
  readonly calls?: ShotRecord["attempts"];
  readonly booked?: readonly BookedRequest[];
  readonly kills?: readonly Kill[];
}) {
  const { shot, calls = [CALL], booked = [BOOKED], kills = [] } = change;
  const evidence: StormEvidence = {
    records: [{ shot: { ...SHOT, ...shot }, attempts: calls }],
    booked: new Map(booked.map((request) => [request.requestId, request])),
    references: new Map([[referenceKey(ASK), REFERENCE]]),
    refusedTenant: "penniless",
    kills,
  };
  const { violations, figures } = checkStorm(evidence);
  return { rules: violations.map(({ rule }) => rule), figures };
}

const charged = (completionTokens: number): BookedRequest => {
  const usage = { ...USAGE, completionTokens };
  return { ...BOOKED, claimed: usage, charged: usage };
};

describe("a storm's books", () => {
  test("are in order when every count agrees", () => {
    expect(verdict({})).toMatchObject({ rules: [], figures: { tokensReceived: 4, tokensCharged: 4, tokensUncharged: 0 } });
  });

  test("must hold every request that ended well, with the usage that its client was told", () => {
    expect(verdict({ booked: [] }).rules).toEqual(["B3"]);
    expect(verdict({ booked: [charged(5)] }).rules).toEqual(["B17"]);
    expect(verdict({ booked: [{ ...BOOKED, tenantId: "globex" }] }).rules).toEqual(["B1"]);
  });

  test("must charge what the claims come to, once", () => {
    expect(verdict({ booked: [{ ...BOOKED, claimed: { ...USAGE, completionTokens: 3 } }] }).rules).toEqual(["B2"]);
  });

  test("may lose tokens only to a dead router, and only a group of them", () => {
    expect(verdict({ calls: [CUT], booked: [charged(1)] }).rules).toEqual(["B4"]);
    expect(verdict({ calls: [CUT], booked: [] }).rules).toEqual(["B3"]);
    const lost = verdict({ calls: [CUT], booked: [charged(1)], kills: [ROUTER_KILL] });
    expect(lost).toMatchObject({ rules: [], figures: { tokensUncharged: 2, uncharged: [2] } });
    const overHttp = { ...CUT, tokenIds: undefined, usage: { ...USAGE, completionTokens: 18 } };
    expect(verdict({ calls: [overHttp], booked: [charged(1)], kills: [ROUTER_KILL] }).rules).toEqual(["B5"]);
    expect(verdict({ calls: [CUT], booked: [charged(1)], kills: [{ ...ROUTER_KILL, name: "router-2" }] }).rules).toEqual(["B4"]);
  });

  test("count what was on its way when a call was cut", () => {
    expect(verdict({ calls: [CUT], booked: [charged(6)] })).toMatchObject({ rules: [], figures: { tokensInFlight: 3, inFlightMax: 3 } });
  });

  test("hold nothing that nobody asked for, and nothing of whoever is refused", () => {
    const stray = { ...BOOKED, requestId: "req_2" };
    expect(verdict({ booked: [BOOKED, stray] }).rules).toEqual(["B7"]);
    expect(verdict({ booked: [BOOKED, { ...stray, tenantId: "penniless" }] }).rules).toEqual(["B7"]);
    expect(verdict({ shot: { tenant: "penniless", refusal: "budget" }, booked: [] }).rules).toEqual(["B7"]);
  });

  test("may hold one charge for one call that broke before it had a name", () => {
    const nameless = { ...CUT, requestId: undefined, text: "", tokenIds: undefined };
    expect(verdict({ calls: [nameless] })).toMatchObject({ rules: [], figures: { chargesUnheardOf: 1 } });
    expect(verdict({ calls: [nameless], booked: [BOOKED, { ...BOOKED, requestId: "req_2" }] }).rules).toEqual(["B7"]);
    expect(
      verdict({ calls: [{ ...nameless, fault: { code: "resource_exhausted", reason: "queue_full", message: "", waitMs: 500 } }] }).rules,
    ).toEqual(["B7"]);
    expect(verdict({ calls: [nameless], booked: [{ ...BOOKED, admittedAt: 5_000 }] }).rules).toEqual(["B7"]);
  });

  test("charge an idempotency key once, however often it was asked", () => {
    const shot = { ask: { ...ASK, idempotencyKey: "key" } };
    expect(verdict({ shot, calls: [CUT, CALL] }).rules).toEqual([]);
    const again = { ...CALL, requestId: "req_2" };
    expect(verdict({ shot, calls: [CUT, again], booked: [BOOKED, { ...BOOKED, requestId: "req_2" }] }).rules).toEqual(["B6"]);
    expect(
      verdict({ shot, calls: [{ ...CUT, requestId: undefined }, CALL], booked: [BOOKED, { ...BOOKED, requestId: "req_2" }] }).rules,
    ).toEqual(["B6"]);
    expect(verdict({ shot, calls: [CUT] }).rules).toEqual(["P6"]);
  });
});

describe("what a client was given", () => {
  test("is its own model's text, whole or the beginning of it", () => {
    expect(verdict({ calls: [{ ...CALL, text: "abxd" }] }).rules).toContain("P8");
    expect(verdict({ calls: [{ ...CALL, tokenIds: [1, 2, 9, 4] }] }).rules).toEqual(["P8"]);
    expect(verdict({ calls: [{ ...CUT, text: "bcd" }], booked: [charged(3)] }).rules).toEqual(["P8"]);
  });

  test("may be bad news, but not of a kind that blames the request", () => {
    const fault = { code: "not_found", reason: "model_unknown", message: "no such model", waitMs: undefined };
    expect(verdict({ calls: [{ ...CUT, fault }], booked: [charged(3)] }).rules).toEqual(["fault"]);
  });

  test("comes without gaps and ends once", () => {
    expect(verdict({ calls: [{ ...CALL, breaches: ["a piece came after the last one"] }] }).rules).toEqual(["P7"]);
    expect(verdict({ calls: [{ ...CALL, endedAt: CALL.startedAt + 60_000 }] }).rules).toEqual(["P6"]);
  });
});
