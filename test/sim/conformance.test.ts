import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MINUTE, seededRandom } from "#kernel";
import {
  ARRIVALS,
  type ArrivalsName,
  createWorkload,
  NODE_MODELS,
  POLICIES,
  type Policy,
  type SimAsk,
  type SimCluster,
  simulate,
  standardFaults,
} from "#scheduler/sim";

/** Any cluster, demand and policy, nodes failing or not. */
const anyCase = fc.record({
  policy: fc.constantFrom(...POLICIES.keys()),
  workload: fc.constantFrom(...(Object.keys(ARRIVALS) as ArrivalsName[])),
  model: fc.constantFrom(...Object.values(NODE_MODELS)),
  nodeCount: fc.integer({ min: 2, max: 6 }),
  deltaCount: fc.integer({ min: 3, max: 80 }),
  oversubscription: fc.constantFrom(1, 2, 8, 32),
  load: fc.double({ min: 0.1, max: 1.2, noNaN: true }),
  faults: fc.boolean(),
  seed: fc.integer({ min: 1, max: 1_000_000 }),
});

/** The policy, with a look at the whole cluster before each of its decisions. */
function watched(policy: Policy, look: (cluster: SimCluster) => void): Policy {
  return {
    ...policy,
    start(cluster, random) {
      const running = policy.start(cluster, random);
      const route = (ask: SimAsk) => {
        look(cluster);
        return running.route(ask);
      };
      return { ...running, route };
    },
  };
}

describe("whatever the cluster, the demand and the policy", () => {
  it("no slots are over-committed, nothing that is used is evicted, and every request is answered", () => {
    fc.assert(
      fc.property(anyCase, ({ policy, workload: name, faults, seed, oversubscription, ...given }) => {
        const { model, nodeCount } = given;
        const workload = createWorkload(name, { ...given, durationMs: MINUTE / 2, skew: 1, churnEveryMs: 5000 }, seededRandom(seed));
        let violations = 0; // Counted: an expectation for each node at each request would take longer than the runs.
        const look = ({ nodes, deltas }: SimCluster): void => {
          for (const { loads } of nodes) {
            const { entries, capacityBytes, usedBytes, referencedBytes } = loads.slots;
            let [heldBytes, inUseBytes] = [0, 0];
            for (const [delta, { references }] of entries) {
              heldBytes += deltas.sizeBytes[delta]!;
              if (references > 0) inUseBytes += deltas.sizeBytes[delta]!;
            }
            if (usedBytes !== heldBytes || referencedBytes !== inUseBytes || heldBytes > capacityBytes) violations++;
          }
        };
        const options = { model, nodeCount, oversubscription, faults: faults ? standardFaults(MINUTE / 2, nodeCount) : [] };
        // The tiers assert by themselves that nothing leaves in use: a run that ends has not.
        const run = simulate(workload, watched(POLICIES.get(policy)!, look), options, seededRandom(seed));
        expect(violations).toBe(0);
        expect(run.doneMs.every((atMs) => atMs > 0)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("the same seed gives the same events three times", () => {
    fc.assert(
      fc.property(anyCase, ({ policy, workload: name, faults, seed, oversubscription, ...given }) => {
        const options = { model: given.model, nodeCount: given.nodeCount, oversubscription };
        const hash = () => {
          const workload = createWorkload(name, { ...given, durationMs: MINUTE / 4, skew: 1 }, seededRandom(seed));
          const events = faults ? standardFaults(MINUTE / 4, given.nodeCount) : [];
          return simulate(workload, POLICIES.get(policy)!, { ...options, faults: events }, seededRandom(seed)).eventHash;
        };
        expect(new Set([hash(), hash(), hash()]).size).toBe(1);
      }),
      { numRuns: 20 },
    );
  });
});
