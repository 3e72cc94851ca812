import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asBaseDigest, asDeltaDigest, asTenantId, Fault, OVERTAKEN_MS_MAX, VirtualClock } from "#kernel";
import type { DeltaReference } from "#model";
import { StaleCopy, type TierLease, type TierLimits, type TierSource } from "./contract.ts";
import { Tier } from "./tier.ts";

const LIMITS: TierLimits = { capacity: 100, entriesMax: 4, loadsMax: 2, waitingMax: 3 };

function reference(name: number): DeltaReference {
  return { digest: asDeltaDigest(`delta-${name}`), tenantId: asTenantId("t"), baseDigest: asBaseDigest("b") };
}

/** A source whose loads and drops end when the test says so, and that notices what must never happen. */
class HandSource implements TierSource<string> {
  readonly loads = new Map<string, PromiseWithResolvers<void>>();
  readonly drops = new Map<string, PromiseWithResolvers<void>>();
  readonly held = new Map<string, number>();
  readonly violations: string[] = [];
  prepared = 0;
  sizes = (_name: string) => 30;
  stale = new Set<string>();

  async prepare({ digest }: DeltaReference, signal: AbortSignal) {
    this.prepared += 1;
    const size = this.sizes(digest);
    return {
      size,
      load: async () => {
        if (this.loads.has(digest)) this.violations.push(`two loads of ${digest}`);
        if (this.loads.size >= LIMITS.loadsMax) this.violations.push("too many loads at a time");
        const done = Promise.withResolvers<void>();
        this.loads.set(digest, done);
        signal.addEventListener("abort", () => done.reject(signal.reason));
        try {
          await done.promise;
        } finally {
          this.loads.delete(digest);
        }
        if (this.stale.delete(digest)) throw new StaleCopy("stale", { cause: new Fault("checksum_mismatch", "stale") });
        return { value: digest, size: size - 1 };
      },
      release: () => undefined,
    };
  }

  async drop({ digest }: DeltaReference) {
    if ((this.held.get(digest) ?? 0) > 0) this.violations.push(`${digest} was evicted in use`);
    const done = Promise.withResolvers<void>();
    this.drops.set(digest, done);
    await done.promise;
    this.drops.delete(digest);
  }

  async finishAll(clock: VirtualClock) {
    while (this.loads.size > 0 || this.drops.size > 0) {
      for (const done of [...this.loads.values(), ...this.drops.values()]) done.resolve();
      await clock.advance(0);
    }
  }
}

/** Mostly small, so that the number of entries and of loads is the limit as often as the capacity. */
const SIZES = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 30 }) }, fc.integer({ min: 30, max: 110 }));
const anySizes = fc.array(SIZES, { minLength: 8, maxLength: 8 });
const anySpare = fc.constantFrom(0, 0.25);
const deltas = fc.nat({ max: 7 });
const operations = fc.oneof(
  fc.record({ kind: fc.constant("acquire" as const), delta: deltas }),
  fc.record({ kind: fc.constant("cancel" as const), nth: fc.nat() }),
  fc.record({ kind: fc.constant("release" as const), nth: fc.nat(), corrupt: fc.boolean() }),
  fc.record({ kind: fc.constant("loaded" as const), nth: fc.nat() }),
  fc.record({ kind: fc.constant("stale" as const), nth: fc.nat() }),
  fc.record({ kind: fc.constant("failed" as const), nth: fc.nat() }),
  fc.record({ kind: fc.constant("dropped" as const), nth: fc.nat() }),
  fc.record({ kind: fc.constant("forget" as const), delta: deltas }),
);

interface Ask {
  readonly name: string;
  readonly cancel: AbortController;
  answered: boolean;
  lease: TierLease<string> | undefined;
}

describe("a tier of the delta cache", () => {
  it("never evicts what is in use, never exceeds its limits, loads each delta once, and answers everyone", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { maxLength: 60 }), anySizes, anySpare, async (steps, sizes, spareShare) => {
        const clock = new VirtualClock();
        const source = new HandSource();
        source.sizes = (name) => sizes[Number(name.slice(-1))]!;
        const tier = new Tier("ram", clock, source, { ...LIMITS, spareShare }, () => undefined);
        const asks: Ask[] = [];
        const leases: Ask[] = [];
        const release = (ask: Ask, as?: "corrupt") => {
          leases.splice(leases.indexOf(ask), 1);
          source.held.set(ask.name, source.held.get(ask.name)! - 1);
          ask.lease!.release(as);
        };
        const acquire = (delta: number) => {
          const ask: Ask = { name: reference(delta).digest, cancel: new AbortController(), answered: false, lease: undefined };
          asks.push(ask);
          tier.acquire(reference(delta), ask.cancel.signal).then(
            (lease) => {
              ask.answered = true;
              ask.lease = lease;
              source.held.set(ask.name, (source.held.get(ask.name) ?? 0) + 1);
              leases.push(ask);
            },
            () => {
              ask.answered = true;
            },
          );
        };
        const pick = <T>(from: readonly T[], nth: number): T | undefined => from[nth % Math.max(1, from.length)];

        for (const step of steps) {
          if (step.kind === "acquire") acquire(step.delta);
          else if (step.kind === "forget") tier.forget(reference(step.delta).digest);
          else if (step.kind === "cancel")
            pick(
              asks.filter((ask) => !ask.answered),
              step.nth,
            )?.cancel.abort(new Error("left"));
          else if (step.kind === "release") {
            const ask = pick(leases, step.nth);
            if (ask) release(ask, step.corrupt ? "corrupt" : undefined);
          } else if (step.kind === "dropped") pick([...source.drops.values()], step.nth)?.resolve();
          else {
            const load = pick([...source.loads], step.nth);
            if (load && step.kind === "stale") source.stale.add(load[0]);
            if (step.kind === "failed") load?.[1].reject(new Fault("file_malformed", "bad"));
            else load?.[1].resolve();
          }
          await clock.advance(0);
          expect(source.violations).toEqual([]);
          expect(tier.status.used).toBeLessThanOrEqual(LIMITS.capacity);
          expect(tier.status.used).toBeGreaterThanOrEqual(0);
          expect(tier.status.entries).toBeLessThanOrEqual(LIMITS.entriesMax);
        }

        for (let rounds = 0; asks.some((ask) => !ask.answered) || leases.length > 0; rounds++) {
          expect(rounds).toBeLessThan(200);
          await source.finishAll(clock);
          for (const ask of [...leases]) release(ask);
          await clock.advance(0);
        }
        await source.finishAll(clock);
        expect(source.violations).toEqual([]);
      }),
      { numRuns: 300 },
    );
  }, 30_000);

  const never = new AbortController().signal;
  function parts(limits: Partial<TierLimits> = {}) {
    const clock = new VirtualClock();
    const source = new HandSource();
    const events: string[] = [];
    const tier = new Tier("ram", clock, source, { ...LIMITS, ...limits }, (event) =>
      events.push(`${event.kind} ${event.reference.digest}`),
    );
    const load = async (name: number) => {
      const lease = tier.acquire(reference(name), never);
      lease.catch(() => undefined); // The test that awaits it below sees it.
      await clock.advance(0);
      await source.finishAll(clock);
      return await lease;
    };
    return { clock, source, tier, events, load };
  }

  it("shares one load among all who wait, and a waiter who leaves does not end it", async () => {
    const { clock, source, tier } = parts();
    const leaving = new AbortController();
    const first = tier.acquire(reference(1), leaving.signal);
    const second = tier.acquire(reference(1), never);
    await clock.advance(0);
    leaving.abort(new Error("left"));
    await expect(first).rejects.toThrow("left");
    await source.finishAll(clock);
    expect((await second).value).toBe("delta-1");
    expect(source.prepared).toBe(1);
  });

  it("drops a load that only waits when all waiters have left, and not before", async () => {
    const { clock, source, tier, load } = parts({ entriesMax: 1, loadsMax: 1 });
    const held = await load(1);
    const [one, two] = [new AbortController(), new AbortController()];
    const waiting = [tier.acquire(reference(2), one.signal), tier.acquire(reference(2), two.signal)];
    await clock.advance(0);
    one.abort(new Error("left"));
    await expect(waiting[0]).rejects.toThrow("left");
    held.release();
    await clock.advance(0);
    await source.finishAll(clock);
    expect((await waiting[1]!).value).toBe("delta-2");
    const three = new AbortController();
    const third = tier.acquire(reference(3), three.signal);
    await clock.advance(0);
    three.abort(new Error("left too"));
    await expect(third).rejects.toThrow("left too");
    (await waiting[1]!).release();
    await clock.advance(0);
    expect([source.prepared, source.drops.size, tier.has(reference(2).digest)]).toEqual([3, 0, true]);
  });

  it("lets a load that runs finish when all waiters have left: the next one finds it", async () => {
    const { clock, source, tier } = parts();
    const leaving = new AbortController();
    const first = tier.acquire(reference(1), leaving.signal);
    await clock.advance(0);
    leaving.abort(new Error("left"));
    await expect(first).rejects.toThrow("left");
    await source.finishAll(clock);
    expect(tier.has(reference(1).digest)).toBe(true);
  });

  it("evicts the least recently used", async () => {
    const { clock, source, tier, load } = parts();
    for (const name of [1, 2, 3]) (await load(name)).release();
    (await load(1)).release();
    const next = load(4);
    await clock.advance(0);
    await source.finishAll(clock);
    await next;
    expect([1, 2, 3, 4].map((name) => tier.has(reference(name).digest))).toEqual([true, false, true, true]);
  });

  it("waits when everything is in use, and refuses when too many wait", async () => {
    const { clock, source, tier, load } = parts({ entriesMax: 1, loadsMax: 1, waitingMax: 1 });
    const held = await load(1);
    const waiting = tier.acquire(reference(2), never);
    const queued = tier.acquire(reference(3), never);
    await clock.advance(0);
    await expect(tier.acquire(reference(4), never)).rejects.toMatchObject({ reason: "capacity_exhausted" });
    held.release();
    await clock.advance(0);
    await source.finishAll(clock);
    (await waiting).release();
    await clock.advance(0);
    await source.finishAll(clock);
    expect((await queued).value).toBe("delta-3");
  });

  it("keeps its spare share free ahead of the next load, at the cost of who was used longest ago", async () => {
    const { clock, source, tier, load } = parts({ entriesMax: 4, capacity: 200, spareShare: 0.25 });
    const held = [await load(1), await load(2), await load(3)];
    held[0]!.release();
    const fourth = await load(4);
    await clock.advance(0);
    await source.finishAll(clock);
    expect([1, 2, 3, 4].map((name) => tier.has(reference(name).digest))).toEqual([false, true, true, true]);
    await load(5); // Everybody else is held: what was spare is taken.
    expect(tier.status.entries).toBe(4);
    fourth.release();
    await clock.advance(0);
    expect([...source.drops.keys()]).toEqual([reference(4).digest]);
  });

  it("lets small ones overtake a large one that must wait for more room, for half a minute: then what comes free is kept for it", async () => {
    const { clock, source, tier, load } = parts({ waitingMax: 8 });
    source.sizes = (name) => (name === "delta-9" ? 90 : 25);
    const held = [await load(1), await load(2)];
    const large = tier.acquire(reference(9), never);
    await clock.advance(0);
    const third = await load(3);
    expect(tier.status).toMatchObject({ starved: 1, held: 3 });
    third.release(); // Idle, and still there.

    await clock.advance(OVERTAKEN_MS_MAX);
    const again = tier.acquire(reference(3), never);
    const fourth = tier.acquire(reference(4), never);
    const shared = await tier.acquire(reference(1), never); // What is in use may be used by more.
    await clock.advance(0);
    await source.finishAll(clock);
    expect(tier.status).toMatchObject({ starved: 3, held: 2 });
    for (const lease of [...held, shared]) lease.release();
    await clock.advance(0);
    await source.finishAll(clock);
    (await large).release();
    await clock.advance(0);
    await source.finishAll(clock);
    expect([(await again).value, (await fourth).value]).toEqual(["delta-3", "delta-4"]);
  });

  it("does not count a load that waits for room, or for a slower tier, among those that run", async () => {
    const { clock, source, tier, load } = parts({ entriesMax: 4, loadsMax: 1 });
    const slow = Promise.withResolvers<void>();
    const prepare = source.prepare.bind(source);
    source.prepare = async (delta, signal) => {
      if (delta.digest === "delta-1") await slow.promise;
      return await prepare(delta, signal);
    };
    const first = tier.acquire(reference(1), never);
    await clock.advance(0);
    (await load(2)).release();
    slow.resolve();
    await clock.advance(0);
    await source.finishAll(clock);
    expect((await first).value).toBe("delta-1");
  });

  it("refuses what is larger than the whole tier", async () => {
    const { source, load } = parts();
    source.sizes = () => 101;
    await expect(load(1)).rejects.toMatchObject({ reason: "capacity_exhausted", retry: { kind: "never" } });
  });

  it("keeps nothing that turned out larger than announced", async () => {
    const { clock, source, tier, load } = parts();
    const prepare = source.prepare.bind(source);
    source.prepare = async (...args) => ({ ...(await prepare(...args)), size: 10 });
    const refused = expect(load(1)).rejects.toMatchObject({ reason: "bug" });
    await clock.advance(0);
    await source.finishAll(clock);
    await refused;
    expect(tier.status).toMatchObject({ entries: 0, used: 0 });
  });

  it("prepares once more after a damaged copy, but not for ever", async () => {
    const { source, load } = parts();
    source.stale.add("delta-1");
    expect((await load(1)).value).toBe("delta-1");
    expect(source.prepared).toBe(2);
    source.stale.has = () => true;
    source.stale.delete = () => true;
    await expect(load(2)).rejects.toMatchObject({ reason: "checksum_mismatch" });
  });

  it("tells who waits when it is closed, and takes leases back without a word", async () => {
    const { clock, tier, load, events } = parts();
    const held = await load(1);
    const waiting = tier.acquire(reference(2), never);
    const refused = expect(waiting).rejects.toMatchObject({ reason: "engine_lost" });
    await clock.advance(0);
    tier.close(new Fault("engine_lost", "gone"));
    await refused;
    held.release();
    await expect(tier.acquire(reference(1), never)).rejects.toMatchObject({ reason: "engine_lost" });
    expect(events).toContain("gone delta-1");
  });

  it("lends a corrupt entry to nobody, and loads it anew once its holders are gone", async () => {
    const { clock, source, tier, load } = parts();
    const [bad, other] = [await load(1), await load(1)];
    bad.release("corrupt");
    const next = tier.acquire(reference(1), never);
    await clock.advance(0);
    expect(source.prepared).toBe(1);
    other.release();
    await clock.advance(0);
    await source.finishAll(clock);
    expect((await next).fresh).toBe(true);
    expect(source.prepared).toBe(2);
  });
});
