import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asTenantId, type TenantId, VirtualTokenCounter } from "#kernel";
import { chooseNext, chooseToPark, planStep, type RunningSequence, type StepBudget } from "./planner.ts";

const SEED = 20_260_102; // fast-check prints it, with the path, when a property fails.
const property = { seed: SEED, numRuns: 500 };

const tenantOf = fc.constantFrom("a", "b", "c", "d").map(asTenantId);
const budgetOf = fc.record({ prefillTokensMax: fc.integer({ min: 1, max: 300 }), chunkTokensMin: fc.integer({ min: 1, max: 100 }) });
const runningOf = fc
  .record({
    tenantId: tenantOf,
    phase: fc.constantFrom("prefilling" as const, "decoding" as const),
    paused: fc.boolean(),
    pendingTokens: fc.integer({ min: 1, max: 500 }),
    chunkTokensMax: fc.constantFrom(32, Number.POSITIVE_INFINITY),
    computedTokens: fc.nat(500),
    timesParked: fc.nat(5),
    stepsPassedOver: fc.nat(9),
    reservedTokens: fc.integer({ min: 1, max: 500 }),
  })
  .map((sequence): RunningSequence => (sequence.phase === "decoding" ? { ...sequence, pendingTokens: 1 } : sequence));

describe("a step", () => {
  test("advances every decoding row by one token, nobody paused, and prefills within the budget", () => {
    fc.assert(
      fc.property(fc.array(runningOf, { maxLength: 32 }), budgetOf, (running, budget) => {
        const plan = new Map(planStep(running, budget).map(({ sequence, tokenCount }) => [sequence, tokenCount]));
        let prefilled = 0;
        for (const sequence of running) {
          const tokenCount = plan.get(sequence) ?? 0;
          if (sequence.paused) expect(tokenCount).toBe(0);
          else if (sequence.phase === "decoding") expect(tokenCount).toBe(1);
          else {
            expect(tokenCount).toBeLessThanOrEqual(Math.min(sequence.pendingTokens, sequence.chunkTokensMax));
            prefilled += tokenCount;
          }
        }
        const usable = running
          .filter(({ paused, phase }) => !paused && phase === "prefilling")
          .reduce((sum, { pendingTokens, chunkTokensMax }) => sum + Math.min(pendingTokens, chunkTokensMax), 0);
        expect(prefilled).toBeLessThanOrEqual(budget.prefillTokensMax);
        // Nothing is wasted but what is too little to cut a prompt for.
        expect(prefilled).toBeGreaterThan(Math.min(usable, budget.prefillTokensMax - budget.chunkTokensMin + 1) - 1);
      }),
      property,
    );
  });

  test("always advances a prompt of a tenant with fewest rows, or one that was passed over too often, by half of the budget at least", () => {
    fc.assert(
      fc.property(fc.array(runningOf, { minLength: 1, maxLength: 32 }), budgetOf, (running, budget) => {
        const active = running.filter(({ paused }) => !paused);
        const rows = (sequence: RunningSequence) => active.filter(({ tenantId }) => tenantId === sequence.tenantId).length;
        const prefills = active.filter(({ phase }) => phase === "prefilling");
        fc.pre(prefills.length > 0);
        const late = prefills.find(({ stepsPassedOver }) => stepsPassedOver >= 8);
        const first = late ?? prefills.sort((one, other) => rows(one) - rows(other))[0]!;
        const share = planStep(running, budget).find(({ sequence }) => sequence === first);
        const least = Math.min(first.pendingTokens, first.chunkTokensMax, budget.prefillTokensMax / 2);
        expect(share?.tokenCount).toBeGreaterThanOrEqual(least);
      }),
      property,
    );
  });

  const prefill = (pendingTokens: number, tenant = "a"): RunningSequence & { stepsPassedOver: number } => ({
    tenantId: asTenantId(tenant),
    phase: "prefilling",
    paused: false,
    pendingTokens,
    chunkTokensMax: Number.POSITIVE_INFINITY,
    computedTokens: 0,
    timesParked: 0,
    stepsPassedOver: 0,
    reservedTokens: pendingTokens,
  });

  test("computes the prompt of who asks for little before those of who asks for much", () => {
    const hot = [1000, 100, 100].map((tokens) => prefill(tokens, "hot"));
    const light = prefill(400, "light");
    const plan = planStep([...hot, light], { prefillTokensMax: 256, chunkTokensMin: 32 });
    expect(plan).toEqual([{ sequence: light, tokenCount: 256 }]);
  });

  test("passes nobody over for more than eight steps in a row", () => {
    const hot = [prefill(1000, "hot"), prefill(1000, "hot")];
    let passedOver = 0;
    for (let step = 0; step < 40; step++) {
      const running = [...hot, prefill(400, "light")];
      const planned = new Set(planStep(running, { prefillTokensMax: 256, chunkTokensMin: 32 }).map(({ sequence }) => sequence));
      for (const sequence of hot) sequence.stepsPassedOver = planned.has(sequence) ? 0 : sequence.stepsPassedOver + 1;
      passedOver = planned.has(hot[0]!) ? 0 : passedOver + 1;
      expect(passedOver).toBeLessThanOrEqual(8);
    }
  });

  test("lets short prompts pass beside a long one, and cuts none for a crumb", () => {
    const budget: StepBudget = { prefillTokensMax: 256, chunkTokensMin: 32 };
    const planned = (...prompts: number[]) => {
      const running = prompts.map((tokens) => prefill(tokens));
      const shares = new Map(planStep(running, budget).map(({ sequence, tokenCount }) => [sequence, tokenCount]));
      return running.map((sequence) => shares.get(sequence) ?? 0);
    };
    expect(planned(4000)).toEqual([256]);
    expect(planned(4000, 50, 60)).toEqual([146, 50, 60]);
    expect(planned(4000, 4000, 50)).toEqual([206, 0, 50]);
    expect(planned(64, 64, 64, 64, 64)).toEqual([64, 64, 64, 64, 0]);
    expect(planned(100, 100, 100)).toEqual([100, 100, 56]);
    expect(planned(120, 120, 100)).toEqual([120, 120, 0]);
  });
});

/** A waiting sequence, and how many rounds its text takes once it runs. */
interface Visitor {
  readonly name: number;
  readonly tenantId: ReturnType<typeof asTenantId>;
  readonly reservedTokens: number;
  roundsLeft: number;
}

describe("admission", () => {
  test("starves nobody while a hot tenant keeps the queue full", () => {
    const visitorOf = fc.record({
      tenantId: tenantOf,
      reservedTokens: fc.integer({ min: 1, max: 100 }),
      roundsLeft: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(visitorOf, { maxLength: 12 }), (visitors) => {
        const hot = asTenantId("hot");
        const turns = new VirtualTokenCounter<TenantId>();
        const waiting: Visitor[] = [];
        const arrive = (visitor: Visitor) => {
          waiting.push(visitor);
          turns.arrived(visitor.tenantId);
        };
        for (const [name, visitor] of visitors.entries()) arrive({ ...visitor, name });
        let running: Visitor[] = [];
        // Each round admits within 3 rows and 100 KV tokens; every admission of anyone brings another of the hot tenant.
        for (let round = 0; round < 5 * 13 * 5; round++) {
          for (;;) {
            const room = { rows: 3 - running.length, kvTokens: 100 - running.reduce((sum, { reservedTokens }) => sum + reservedTokens, 0) };
            const next = chooseNext(waiting, turns.next(), room);
            if (!next) break;
            expect(next.reservedTokens).toBeLessThanOrEqual(room.kvTokens);
            waiting.splice(waiting.indexOf(next), 1);
            running.push(next);
            turns.started(next.tenantId, next.reservedTokens);
            arrive({ name: -1, tenantId: hot, reservedTokens: 30, roundsLeft: 2 });
          }
          expect(running.length).toBeLessThanOrEqual(3);
          for (const visitor of running) {
            turns.produced(visitor.tenantId, 1);
            if (--visitor.roundsLeft === 0) turns.ended(visitor.tenantId);
          }
          running = running.filter((visitor) => visitor.roundsLeft > 0);
          if (round === 0) arrive({ name: -1, tenantId: hot, reservedTokens: 30, roundsLeft: 2 });
        }
        expect(waiting.filter(({ name }) => name >= 0)).toEqual([]);
      }),
      { ...property, numRuns: 100 },
    );
  });

  const waits = (tenant: string, reservedTokens = 10) => ({ tenantId: asTenantId(tenant), reservedTokens });
  const room = { rows: 1, kvTokens: 100 };

  test("takes the tenant whose turn it is, and of its sequences the one that waits longest", () => {
    const [first, second, third] = [waits("hot"), waits("cold"), waits("cold")] as const;
    expect(chooseNext([first, second, third], asTenantId("cold"), room)).toBe(second);
    expect(chooseNext([first, second, third], asTenantId("hot"), room)).toBe(first);
    expect(chooseNext([], undefined, room)).toBeUndefined();
  });

  test("lets nobody pass a sequence that does not fit yet", () => {
    expect(chooseNext([waits("a", 101), waits("b")], asTenantId("a"), room)).toBeUndefined();
    expect(chooseNext([waits("b")], asTenantId("b"), { rows: 0, kvTokens: 100 })).toBeUndefined();
  });
});

describe("giving up a row", () => {
  const runs = (tenant: string, more: Partial<RunningSequence> = {}): RunningSequence => ({
    tenantId: asTenantId(tenant),
    phase: "decoding",
    paused: false,
    pendingTokens: 1,
    chunkTokensMax: Number.POSITIVE_INFINITY,
    computedTokens: 50,
    timesParked: 0,
    stepsPassedOver: 0,
    reservedTokens: 100,
    ...more,
  });
  const waits = (tenant: string, reservedTokens = 100) => ({ tenantId: asTenantId(tenant), reservedTokens });
  const full = { rows: 0, kvTokens: 0 };
  const park = (running: readonly RunningSequence[], waiting: ReturnType<typeof waits>) =>
    chooseToPark(running, [waiting], waiting.tenantId, full, running.length);

  test("is asked of the tenant with more than its share, for one with less, and costs as little as can be", () => {
    const least = runs("hot", { computedTokens: 3 });
    expect(park([runs("hot"), least, runs("hot"), runs("cold", { computedTokens: 1 })], waits("new"))).toBe(least);
    expect(park([runs("hot"), least, runs("hot"), runs("cold")], waits("cold"))).toBe(least);
  });

  test("is asked of nobody for a tenant that has its share, or while nobody has more", () => {
    expect(park([runs("hot"), runs("hot")], waits("hot"))).toBeUndefined();
    expect(park([runs("a"), runs("a"), runs("b"), runs("b")], waits("b"))).toBeUndefined();
    expect(park([runs("a"), runs("b")], waits("c"))).toBeUndefined();
    expect(chooseToPark([runs("hot"), runs("hot")], [], undefined, full, 2)).toBeUndefined();
  });

  test("is asked of nobody in vain, and of the same one a few times at most", () => {
    expect(park([runs("hot"), runs("hot")], waits("new", 101))).toBeUndefined();
    const often = { timesParked: 4 };
    expect(park([runs("hot", often), runs("hot", often)], waits("new"))).toBeUndefined();
  });

  test("is first asked of whoever is not read, also for its own tenant", () => {
    const unread = runs("hot", { paused: true, reservedTokens: 10 });
    expect(park([runs("hot", { computedTokens: 1 }), unread], waits("hot"))).toBe(unread);
  });
});
