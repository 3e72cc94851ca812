import { asBaseDigest, asKeyId, asNodeId, asProjectId, asRequestId, asTenantId, type Claim, seededRandom, systemClock } from "#kernel";
import type { Journal } from "#state";
import { createLedger } from "../router/ledger/index.ts";

export interface PostingLoad {
  readonly tenants: number;
  /** Claims of one post. */
  readonly batch: number;
}

export interface PostingFigures {
  readonly claimsPerSecond: number;
  readonly entriesPerClaim: number;
  /** Of this process; a Redis has its own. */
  readonly cpuUsPerClaim: number;
}

/** What a request's claims say: the router's in passing and at the end, and its node's, which adds nothing new. */
const SAID = [
  { byRouter: true, completionTokens: 16, outcome: "running" },
  { byRouter: true, completionTokens: 32, outcome: "running" },
  { byRouter: true, completionTokens: 48, outcome: "completed" },
  { byRouter: false, completionTokens: 48, outcome: "completed" },
] as const;
/** That run at the same time. */
const RUNNING = 100;

const PRICE = {
  ...{ version: 1, plan: "standard", effectiveFrom: 0, gpuHour: "0", bases: {} },
  default: { prompt: 150, cached: 75, completion: 600, training: 0 },
};

/** Of claims that nobody asked for before they came. */
const NOTHING_HELD = { release: async () => undefined };

/** Posts the claims of so many requests, batch by batch, and checks that the bill is right. */
export async function postClaims(journal: Journal, load: PostingLoad, requests: number): Promise<PostingFigures> {
  let entries = 0;
  const entriesPosted = (count: number) => {
    entries += count;
  };
  const events = { entriesPosted, lateClaims: () => undefined, conflict: () => undefined };
  const ledger = createLedger({
    ...{ journal, meters: NOTHING_HELD, clock: systemClock, random: seededRandom(1) },
    ...{ price: async () => PRICE, events },
  });
  const claims = claimsOf(load.tenants, requests);
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  for (let from = 0; from < claims.length; from += load.batch) await ledger.post(claims.slice(from, from + load.batch));
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const [usage] = await ledger.usage({ by: [] });
  if (usage?.requests !== requests || usage.completionTokens !== requests * SAID.at(-1)!.completionTokens)
    throw new Error(`the ledger has ${usage?.requests} requests with ${usage?.completionTokens} tokens`);
  return {
    claimsPerSecond: claims.length / seconds,
    entriesPerClaim: entries / claims.length,
    cpuUsPerClaim: (user + system) / claims.length,
  };
}

/** In the order in which they come when {@link RUNNING} requests run side by side. */
function claimsOf(tenants: number, requests: number): readonly Claim[] {
  const claims: Claim[] = [];
  const admittedAt = systemClock.now();
  for (let first = 0; first < requests; first += RUNNING) {
    for (const { byRouter, completionTokens, outcome } of SAID) {
      for (let request = first; request < Math.min(requests, first + RUNNING); request++) {
        claims.push({
          ...{ requestId: asRequestId(`req_${request.toString(16).padStart(32, "0")}`), attempt: 1 },
          tenantId: asTenantId(`tenant-${request % tenants}`),
          ...(byRouter && {
            keyId: asKeyId("0123456789abcdef"),
            projectId: asProjectId("default"),
            model: `tenant-${request % tenants}/bot`,
          }),
          ...{ baseDigest: asBaseDigest("b".repeat(64)), baseName: "demo-base", priceVersion: 1, nodeId: asNodeId("node-1") },
          usage: { promptTokens: 100, cachedTokens: 0, completionTokens },
          ...{ outcome, admittedAt: admittedAt + request * 10 },
        });
      }
    }
  }
  return claims;
}
