import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asTenantId, type Claim, type Outcome, seededRandom } from "#kernel";
import type { Journal, StateStore } from "#state";
import {
  accountsOf,
  chargesOf,
  claimOf,
  expectedCharge,
  journalWith,
  ledgerOver,
  losingReplies,
  NOON,
  postUntilDone,
  ROUTER,
  recountOf,
} from "./fixture.ts";

/** Small cases per run; the long form is for nights: DELTAPLANE_LEDGER_CASES=100000. */
const CASES = Number(process.env["DELTAPLANE_LEDGER_CASES"] ?? 1_000);
const REPLIES_LOST = 0.2;

/** One request, and what router and nodes say of it. */
interface Request {
  readonly claims: readonly Claim[];
}

const outcome: fc.Arbitrary<Outcome> = fc.constantFrom("running", "running", "failed", "cancelled", "completed");
const said = fc.record({
  byRouter: fc.boolean(),
  attempt: fc.integer({ min: 1, max: 3 }),
  prompt: fc.integer({ min: 0, max: 50 }),
  cachedShare: fc.integer({ min: 0, max: 4 }),
  completion: fc.integer({ min: 0, max: 100 }),
  trained: fc.constantFrom(0, 0, 40, 500),
  outcome,
});

const requests: fc.Arbitrary<readonly Request[]> = fc.array(
  fc
    .tuple(fc.array(said, { minLength: 1, maxLength: 5 }), fc.constantFrom("demo-base", "cheap"), fc.constantFrom(1, 2), fc.nat(2))
    .map(([claims, baseName, priceVersion, hours]) => ({
      claims: claims.map(({ byRouter, attempt, prompt, cachedShare, completion, trained, outcome }) =>
        claimOf(
          "",
          {
            promptTokens: prompt,
            cachedTokens: Math.floor((prompt * cachedShare) / 4),
            completionTokens: completion,
            trainedTokens: trained,
          },
          { attempt, baseName, priceVersion, outcome, admittedAt: NOON + hours * 6 * 3_600_000, ...(byRouter && ROUTER) },
        ),
      ),
    })),
  { minLength: 1, maxLength: 4 },
);

/** In which order the claims come, some of them twice, and where the batches are cut; each goes through one of two routers. */
const delivery = fc.record({
  requests,
  order: fc.array(fc.nat(1_000), { maxLength: 30 }),
  cuts: fc.array(fc.record({ size: fc.integer({ min: 1, max: 6 }), router: fc.nat(1), together: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  }),
  seed: fc.nat(),
});
type Delivery = typeof delivery extends fc.Arbitrary<infer T> ? T : never;

/** Whatever comes in whatever order, the books say the same. */
export function describeMerging(openStore: () => Promise<StateStore>): void {
  describe("merging", () => {
    it(
      `gives the same bill for any order, repetition and batching, through two routers, with lost replies (${CASES} cases)`,
      async () => {
        await using store = await openStore();
        let number = 0;
        let conflicts = 0;
        await fc.assert(
          fc.asyncProperty(delivery, async (plan) => {
            conflicts += await deliver(store.journal, plan, `case-${number++}`);
          }),
          { numRuns: CASES },
        );
        expect(conflicts, "no two routers ever met in a book, so that nothing was tried").toBeGreaterThan(0);
      },
      CASES * 100,
    );
  });
}

/** Posts a plan's claims as told; gives how often the two routers met. */
async function deliver(journal: Journal, plan: Delivery, tenant: string): Promise<number> {
  const tenantId = asTenantId(tenant);
  const all = plan.requests.flatMap(({ claims }, request) =>
    claims.map((claim) => ({ ...claim, tenantId, requestId: `r${request}` as Claim["requestId"] })),
  );
  const random = seededRandom(plan.seed);
  const flaky = losingReplies(journal, random, REPLIES_LOST);
  const routers = [0, 1].map((router) => ledgerOver(balanced(flaky), { seed: plan.seed + router }));

  const rest = all.map((claim) => ({ claim, rank: random.float() })).sort((one, other) => one.rank - other.rank);
  const queue = [...plan.order.map((index) => all[index % all.length]!), ...rest.map(({ claim }) => claim)];
  let under: Promise<void>[] = [];
  for (let cut = 0; queue.length > 0; cut++) {
    const { size, router, together } = plan.cuts[cut % plan.cuts.length]!;
    under.push(postUntilDone(routers[router]!.ledger, queue.splice(0, size)));
    if (together) continue;
    await Promise.all(under);
    under = [];
  }
  await Promise.all(under);

  const expected = Map.groupBy(all, ({ requestId }) => requestId);
  const reader = ledgerOver(journal);
  const charges = await chargesOf(reader.ledger, tenantId);
  const byId = (charge: { requestId: string }) => charge.requestId;
  expect(charges.toSorted((one, other) => (byId(one) < byId(other) ? -1 : 1))).toEqual([...expected.values()].map(expectedCharge));
  const [usage] = await reader.ledger.usage({ by: [], tenantId });
  expect(usage).toEqual(sumOf([...expected.values()].map(expectedCharge)));
  expect(await recountOf(journal, tenant)).toMatchObject({ differences: [], requests: expected.size, nanoUsd: usage!.amount });
  return routers.reduce((sum, { counts }) => sum + counts.conflicts, 0);
}

/** Looks at the accounts after every commit. */
function balanced(journal: Journal): Journal {
  return journalWith(journal, {
    async commit(changes) {
      const outcomes = await journal.commit(changes);
      for (const { book } of changes) {
        const balance = (await accountsOf(journal, book)).values().reduce((sum, amount) => sum + amount, 0n);
        if (balance !== 0n) throw new Error(`the accounts of ${book} add up to ${balance}`);
      }
      return outcomes;
    },
  });
}

function sumOf(charges: readonly ReturnType<typeof expectedCharge>[]) {
  const sum = (field: "promptTokens" | "cachedTokens" | "completionTokens" | "trainedTokens") =>
    charges.reduce((total, charge) => total + charge[field], 0);
  return {
    requests: charges.length,
    ...{ promptTokens: sum("promptTokens"), cachedTokens: sum("cachedTokens"), completionTokens: sum("completionTokens") },
    trainedTokens: sum("trainedTokens"),
    amount: charges.reduce((total, { amount }) => total + amount, 0n),
  };
}
