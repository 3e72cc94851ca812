import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Clock, deadlineSignal, type Log, type Random, SECOND, seededRandom, VirtualClock } from "#kernel";
import { createKubernetesLeases, type KubernetesApi, type Resource } from "#kubernetes";
import type { Leases } from "#state";
import { type Leadership, startLeadership } from "../../scheduler/service/leadership.ts";
import { ObjectStore } from "./api-server/object-store.ts";
import { shakyApi, type Weather } from "./shaky-api.ts";

/**
 * Several processes, each with a clock of its own (hours off, and up to 3 % fast or slow), elect a leader through an API
 * server that they reach slowly, one-sidedly or not at all. On a virtual clock; a seed is a whole story.
 */
const ELECTORS = 3;
const STEP_MS = 25;
const TROUBLE_MS = 60 * SECOND;
const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface Elector {
  readonly leadership: Leadership;
  readonly weather: Weather;
}

/** How bad it may be at a time: mostly slow, now and then a one-sided loss, or nothing at all gets through. */
function changeWeather(weather: Weather, random: Random): void {
  weather.delayMs = [5, 50, 400, 1500][random.below(4)]!;
  weather.lossShare = [0, 0, 0.2, 1][random.below(4)]!;
}

function clockOf(clock: VirtualClock, random: Random): Clock {
  const rate = 0.97 + random.float() * 0.06;
  const skewMs = (random.float() - 0.5) * 4 * 3_600 * SECOND;
  const startMs = random.float() * 1e6;
  return {
    now: () => Math.round(clock.now() + skewMs + clock.monotonic() * (rate - 1)),
    monotonic: () => startMs + clock.monotonic() * rate,
    after: (waitMs, signal) => clock.after(waitMs / rate, signal),
  };
}

/** What one story came to: how many led at a time, which epochs they led under, and whether somebody led at the end. */
async function story(seed: number, leasesOf: (api: KubernetesApi, clock: Clock) => Leases) {
  const random = seededRandom(seed);
  const clock = new VirtualClock();
  const store = new ObjectStore();
  const electors: Elector[] = [];
  const epochs: number[] = [];
  let together = 0;
  const look = () => {
    const leading = electors.flatMap(({ leadership }) => leadership.epoch ?? []);
    together = Math.max(together, leading.length);
    for (const epoch of leading) if (epochs.at(-1) !== epoch) epochs.push(epoch);
  };
  for (let index = 0; index < ELECTORS; index++) {
    const weather: Weather = { delayMs: 5, lossShare: 0 };
    const own = clockOf(clock, random);
    const leases = leasesOf(shakyApi(store, clock, random.fork(`way ${index}`), weather), own);
    const leadership = startLeadership({ clock: own, log: SILENT, leases }, { holder: `elector ${index}`, onChange: look });
    electors.push({ leadership, weather });
  }
  for (let at = 0; at < TROUBLE_MS; at += STEP_MS) {
    if (random.float() < STEP_MS / (2 * SECOND)) changeWeather(electors[random.below(ELECTORS)]!.weather, random);
    await clock.advance(STEP_MS);
    look();
  }
  for (const { weather } of electors) Object.assign(weather, { delayMs: 5, lossShare: 0 });
  await clock.advance(10 * SECOND);
  look();
  const ledAtTheEnd = electors.some(({ leadership }) => leadership.epoch !== undefined);
  const stopped = Promise.all(electors.map(({ leadership }) => leadership[Symbol.asyncDispose]()));
  for (let at = 0; at < 10 * SECOND; at += SECOND) await clock.advance(SECOND);
  await stopped;
  return { together, epochs, ledAtTheEnd };
}

const kubernetesLeases = (api: KubernetesApi, clock: Clock): Leases => createKubernetesLeases({ api, clock });

/** What one might write first: a lease is over when its own time says so, on whatever clock one has. */
function trustingLeases(api: KubernetesApi, clock: Clock): Leases {
  const LEASES: Resource = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease" };
  return {
    async acquire(name, holder, termMs) {
      using limit = deadlineSignal(clock, termMs / 3, () => new Error("no answer"));
      const old = await api.get(LEASES, name, limit.signal);
      const spec = (old?.spec ?? {}) as { holderIdentity?: string; renewTime?: string; leaseTransitions?: number };
      const live = old !== undefined && clock.now() - Date.parse(spec.renewTime!) < termMs;
      if (live && spec.holderIdentity !== holder) return { kind: "taken", holder: spec.holderIdentity!, leftMs: termMs };
      const epoch = (spec.leaseTransitions ?? 0) + (live ? 0 : 1);
      const renewTime = new Date(clock.now()).toISOString().replace("Z", "000Z");
      const object = { metadata: { ...old?.metadata, name }, spec: { holderIdentity: holder, leaseTransitions: epoch, renewTime } };
      const { signal } = limit;
      const written = old ? await api.replace(LEASES, "object", object, signal) : await api.create(LEASES, object, signal);
      return written.kind === "written" ? { kind: "held", epoch } : { kind: "taken", holder: "another", leftMs: termMs };
    },
    release: async () => undefined,
  };
}

describe("an election over Kubernetes' Leases", () => {
  it("has one leader at a time, with an epoch that grows, and has one again when the trouble is over", async () => {
    let changes = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const { together, epochs, ledAtTheEnd } = await story(seed, kubernetesLeases);
        expect(together).toBe(1);
        expect(epochs).toEqual([...new Set(epochs)].sort((one, other) => one - other));
        expect(ledAtTheEnd).toBe(true);
        changes += epochs.length - 1;
      }),
      { numRuns: 25 },
    );
    expect(changes, "trouble without a change of leader shows nothing").toBeGreaterThan(25);
  });

  it("would not, if it trusted the clocks: the same stories tell", async () => {
    const { together } = await story(1, trustingLeases);
    expect(together).toBeGreaterThan(1);
  });
});
