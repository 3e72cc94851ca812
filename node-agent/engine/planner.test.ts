import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asTenantId, type TenantId, VirtualTokenCounter } from "#kernel";
import { chooseNext, chooseToPark, planStep, type RunningSequence, type Service, type StepBudget } from "./planner.ts";

const SEED = 20_260_102; // fast-check prints it, with the path, when a property fails.
const property = { seed: SEED, numRuns: 500 };

const tenantOf = fc.constantFrom("a", "b", "c", "d").map(asTenantId);
const budgetOf = fc.record({
  prefillTokensMax: fc.integer({ min: 1, max: 300 }),
  chunkTokensMin: fc.integer({ min: 1, max: 100 }),
  yieldTokensMax: fc.integer({ min: 1, max: 600 }),
});
const BUDGET: StepBudget = { prefillTokensMax: 256, chunkTokensMin: 32, yieldTokensMax: 256 };
/** Everyone has been given as much as everyone else. */
const ALIKE: Service = { of: () => 0, differenceMax: 0 };
const runningOf = fc
  .record({
    tenantId: tenantOf,
    phase: fc.constantFrom("prefilling" as const, "decoding" as const),
    paused: fc.boolean(),
    pendingTokens: fc.integer({ min: 1, max: 500 }),
    chunkTokensMax: fc.constantFrom(32, Number.POSITIVE_INFINITY),
    computedTokens: fc.nat(500),
    timesParked: fc.nat(5),
    stepsPassedOver: fc.nat(17),
    reservedTokens: fc.integer({ min: 1, max: 500 }),
  })
  .map((sequence): RunningSequence => (sequence.phase === "decoding" ? { ...sequence, pendingTokens: 1 } : sequence));

describe("a step", () => {
  test("advances every decoding row by one token where nobody yields, nobody paused, and prefills within the budget", () => {
    fc.assert(
      fc.property(fc.array(runningOf, { maxLength: 32 }), budgetOf, (running, each) => {
        const budget = { ...each, yieldTokensMax: each.prefillTokensMax };
        const plan = new Map(planStep(running, budget, ALIKE).map(({ sequence, tokenCount }) => [sequence, tokenCount]));
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
        const late = prefills.find(({ stepsPassedOver }) => stepsPassedOver >= 16);
        const first = late ?? prefills.sort((one, other) => rows(one) - rows(other))[0]!;
        const share = planStep(running, budget, ALIKE).find(({ sequence }) => sequence === first);
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
    const plan = planStep([...hot, light], BUDGET, ALIKE);
    expect(plan).toEqual([{ sequence: light, tokenCount: 256 }]);
  });

  test("passes nobody over for more than sixteen steps in a row", () => {
    const hot = [prefill(1000, "hot"), prefill(1000, "hot")];
    let passedOver = 0;
    for (let step = 0; step < 80; step++) {
      const running = [...hot, prefill(400, "light")];
      const planned = new Set(planStep(running, BUDGET, ALIKE).map(({ sequence }) => sequence));
      for (const sequence of hot) sequence.stepsPassedOver = planned.has(sequence) ? 0 : sequence.stepsPassedOver + 1;
      passedOver = planned.has(hot[0]!) ? 0 : passedOver + 1;
      expect(passedOver).toBeLessThanOrEqual(16);
    }
  });

  test("lets short prompts pass beside a long one, and cuts none for a crumb", () => {
    const planned = (...prompts: number[]) => {
      const running = prompts.map((tokens) => prefill(tokens));
      const shares = new Map(planStep(running, BUDGET, ALIKE).map(({ sequence, tokenCount }) => [sequence, tokenCount]));
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

describe("rows of who has many", () => {
  const row = (tenant: string, phase: RunningSequence["phase"] = "decoding", more: Partial<RunningSequence> = {}): RunningSequence => ({
    tenantId: asTenantId(tenant),
    phase,
    paused: false,
    pendingTokens: phase === "decoding" ? 1 : 400,
    chunkTokensMax: Number.POSITIVE_INFINITY,
    computedTokens: 10,
    timesParked: 0,
    stepsPassedOver: 0,
    reservedTokens: 500,
    ...more,
  });
  /** Eight short steps are as long as one may be. */
  const short: StepBudget = { prefillTokensMax: 64, chunkTokensMin: 32, yieldTokensMax: 512 };
  const planned = (running: readonly RunningSequence[], budget = short, service = ALIKE) =>
    planStep(running, budget, service).map(({ sequence: { tenantId, phase }, tokenCount }) => [tenantId, phase, tokenCount]);

  test("sit out the steps that compute the prompt of who has few; rows of others go on", () => {
    const running = [row("hot"), row("hot"), row("hot"), row("hot"), row("hot"), row("other"), row("light", "prefilling")];
    expect(planned(running)).toEqual([
      ["other", "decoding", 1],
      ["light", "prefilling", 64],
    ]);
  });

  test("do not for who has half as many or more, nor for a prompt of their own", () => {
    expect(planned([row("a"), row("a"), row("a"), row("b"), row("b", "prefilling")])).toHaveLength(5);
    expect(planned([row("a"), row("a"), row("b", "prefilling")])).toHaveLength(3);
    expect(planned([row("a"), row("a"), row("a"), row("a", "prefilling")])).toHaveLength(4);
    expect(planned([row("a"), row("a"), row("a"), row("b")])).toHaveLength(4);
  });

  test("wait for no more of others' prompts than the longest step computes", () => {
    const rows = [row("hot"), row("hot"), row("hot")].map((each) => ({ ...each }) as RunningSequence & { stepsPassedOver: number });
    const light = row("light", "prefilling", { pendingTokens: 10_000 });
    const prompts: number[] = [];
    let waitedFor = 0;
    for (let step = 0; step < 40; step++) {
      const plan = planStep([...rows, light], short, ALIKE);
      waitedFor += 64;
      const isPlanned = plan.length > 1;
      if (isPlanned) {
        expect(plan).toHaveLength(4);
        prompts.push(waitedFor);
        waitedFor = 0;
      }
      for (const each of rows) each.stepsPassedOver = isPlanned ? 0 : each.stepsPassedOver + 1;
    }
    expect(prompts).toEqual([512, 512, 512, 512, 512]);
    expect(planned([...rows, light], { ...short, prefillTokensMax: 512 })).toHaveLength(4); // One step is that long.
  });

  test("do not for who has been given more than they by what counters may differ", () => {
    const running = [row("hot"), row("hot"), row("hot"), row("light", "prefilling")];
    const service = (light: number): Service => ({ of: (tenantId) => (tenantId === "light" ? light : 1000), differenceMax: 200 });
    expect(planned(running, short, service(1200))).toHaveLength(1);
    expect(planned(running, short, service(1201))).toHaveLength(4);
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
