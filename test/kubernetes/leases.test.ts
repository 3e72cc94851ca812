import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Clock, SECOND, systemClock, VirtualClock } from "#kernel";
import { createKubernetesLeases, type KubernetesApi, openKubernetesApi, type Resource } from "#kubernetes";
import type { Leases } from "#state";
import { describeLeases } from "../../state/contract-suite/leases.ts";
import { NO_FAULTS, openTestCluster, type TestCluster } from "./test-cluster.ts";

const LEASES: Resource = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease" };
const TERM_MS = 10 * SECOND;

let cluster: TestCluster;
let tests = 0;
let prefix: string;
const opened: AsyncDisposable[] = [];

beforeEach(async () => {
  cluster ??= await openTestCluster();
  prefix = `test-${++tests}-`;
});
afterEach(async () => {
  for (const api of opened.splice(0)) await api[Symbol.asyncDispose]();
});

/** Another process: a connection and observations of its own. */
function process(clock: Clock): { readonly leases: Leases; readonly api: KubernetesApi } {
  const api = openKubernetesApi({ clock: systemClock }, cluster);
  opened.push(api);
  return { api, leases: createKubernetesLeases({ api, clock }, { prefix }) };
}

describe("leases on Kubernetes", () => {
  let clock: VirtualClock;
  let leases: Leases;
  beforeEach(() => {
    clock = new VirtualClock();
    leases = process(clock).leases;
  });
  describeLeases({
    get store() {
      return { leases };
    },
    get clock() {
      return clock;
    },
    async reopen() {
      leases = process(clock).leases;
    },
  });
});

/** A clock whose day is another: an hour ahead, a day behind. Its monotonic time runs as ours does. */
function skewed(clock: VirtualClock, skewMs: number): Clock {
  return {
    now: () => clock.now() + skewMs,
    monotonic: () => clock.monotonic() + 17,
    after: (waitMs, signal) => clock.after(waitMs, signal),
  };
}

describe("between processes", () => {
  const HOUR = 3_600 * SECOND;

  it.each([-HOUR, HOUR])("a lease is judged by what was seen, not by a clock that is %i ms off", async (skewMs) => {
    const clock = new VirtualClock();
    const one = process(clock).leases;
    const two = process(skewed(clock, skewMs)).leases;
    expect(await one.acquire("leader", "one", TERM_MS)).toEqual({ kind: "held", epoch: 1 });
    expect(await two.acquire("leader", "two", TERM_MS)).toEqual({ kind: "taken", holder: "one", leftMs: TERM_MS });
    for (let renewal = 0; renewal < 3; renewal++) {
      await clock.advance(TERM_MS - 1);
      expect(await one.acquire("leader", "one", TERM_MS)).toEqual({ kind: "held", epoch: 1 });
      expect(await two.acquire("leader", "two", TERM_MS)).toMatchObject({ kind: "taken", leftMs: TERM_MS });
    }
    await clock.advance(TERM_MS - 1);
    expect(await two.acquire("leader", "two", TERM_MS)).toMatchObject({ kind: "taken", leftMs: 1 });
    await clock.advance(1);
    expect(await two.acquire("leader", "two", TERM_MS)).toEqual({ kind: "held", epoch: 2 });
    expect(await one.acquire("leader", "one", TERM_MS)).toMatchObject({ kind: "taken", holder: "two" });
  });

  it("somebody who has just come waits a whole term, however old the lease is", async () => {
    const clock = new VirtualClock();
    await process(clock).leases.acquire("leader", "one", TERM_MS);
    await clock.advance(2 * TERM_MS);
    const newcomer = process(clock).leases;
    expect(await newcomer.acquire("leader", "two", TERM_MS)).toEqual({ kind: "taken", holder: "one", leftMs: TERM_MS });
    await clock.advance(TERM_MS);
    expect(await newcomer.acquire("leader", "two", TERM_MS)).toEqual({ kind: "held", epoch: 2 });
  });

  it("a renewal is seen as one also when the holder's clock is set back", async () => {
    const clock = new VirtualClock();
    let skewMs = 0;
    const one = process({ ...skewed(clock, 0), now: () => clock.now() + skewMs }).leases;
    const two = process(clock).leases;
    await one.acquire("leader", "one", TERM_MS);
    await two.acquire("leader", "two", TERM_MS);
    skewMs = -HOUR;
    for (let renewal = 0; renewal < 3; renewal++) {
      await clock.advance(TERM_MS - 1);
      expect(await one.acquire("leader", "one", TERM_MS)).toMatchObject({ kind: "held", epoch: 1 });
      expect(await two.acquire("leader", "two", TERM_MS)).toMatchObject({ kind: "taken", leftMs: TERM_MS });
    }
  });

  it("a label on the object is no sign of life of its holder", async () => {
    const clock = new VirtualClock();
    const one = process(clock);
    const two = process(clock).leases;
    await one.leases.acquire("leader", "one", TERM_MS);
    await two.acquire("leader", "two", TERM_MS);
    await clock.advance(TERM_MS - 1);
    const object = (await one.api.get(LEASES, `${prefix}leader`))!;
    await one.api.replace(LEASES, "object", { ...object, metadata: { ...object.metadata, labels: { seen: "true" } } });
    expect(await two.acquire("leader", "two", TERM_MS)).toMatchObject({ kind: "taken", leftMs: 1 });
    await clock.advance(1);
    expect(await two.acquire("leader", "two", TERM_MS)).toEqual({ kind: "held", epoch: 2 });
  });

  it("what kubectl shows is what holds", async () => {
    const { leases, api } = process(systemClock);
    await leases.acquire("leader", "pod-1", 15 * SECOND);
    expect(await api.get(LEASES, `${prefix}leader`)).toMatchObject({
      spec: { holderIdentity: "pod-1", leaseDurationSeconds: 15, leaseTransitions: 1, renewTime: expect.stringMatching(/\.\d{6}Z$/) },
    });
    await leases.release("leader", "pod-1");
    const released = (await api.get(LEASES, `${prefix}leader`))!.spec as Record<string, unknown>;
    expect(released["holderIdentity"]).toBeUndefined();
    expect(released["leaseTransitions"]).toBe(1);
  });
});

describe.skipIf(NO_FAULTS !== undefined)("when the API server is in trouble", () => {
  afterEach(() => {
    Object.assign(cluster.server.faults, { refuseNext: 0, refusalStatus: 500 });
  });

  it("a write whose answer was lost is not done twice", async () => {
    const clock = new VirtualClock();
    const { leases } = process(clock);
    const lost = process(clock);
    let lose = true;
    const api: KubernetesApi = {
      ...methods(lost.api),
      async create(resource, object) {
        const written = await lost.api.create(resource, object);
        if (lose) throw new Error("the connection broke");
        return written;
      },
    };
    const unlucky = createKubernetesLeases({ api, clock }, { prefix });
    await expect(unlucky.acquire("leader", "one", TERM_MS)).rejects.toThrow("broke");
    lose = false;
    expect(await unlucky.acquire("leader", "one", TERM_MS)).toEqual({ kind: "held", epoch: 1 });
    expect(await leases.acquire("leader", "two", TERM_MS)).toMatchObject({ kind: "taken", holder: "one" });
  });

  it.each([
    [500, "store_unreachable"],
    [429, "store_unreachable"],
    [401, "key_unknown"],
    [403, "scope_missing"],
  ])("an answer of %i is a fault: %s", async (status, reason) => {
    const { leases } = process(systemClock);
    Object.assign(cluster.server.faults, { refuseNext: 1, refusalStatus: status });
    await expect(leases.acquire("leader", "one", TERM_MS)).rejects.toMatchObject({ reason });
    expect(await leases.acquire("leader", "one", TERM_MS)).toMatchObject({ kind: "held" });
  });
});

function methods(api: KubernetesApi): KubernetesApi {
  return {
    namespace: api.namespace,
    get: (...of) => api.get(...of),
    list: (...of) => api.list(...of),
    create: (...of) => api.create(...of),
    replace: (...of) => api.replace(...of),
    remove: (...of) => api.remove(...of),
    watch: (...of) => api.watch(...of),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}
