import { describe, expect, it } from "vitest";
import { MINUTE, seededRandom } from "#kernel";
import { ARRIVALS, type ArrivalsName, createWorkload, NODE_MODELS, POLICIES, simulate, standardFaults } from "#scheduler/sim";

const model = NODE_MODELS["cpu-124m"]!;
const options = { deltaCount: 60, nodeCount: 3, model, durationMs: MINUTE, load: 0.6, skew: 1, churnEveryMs: 10_000 };

function run(policy: string, seed: number, name: ArrivalsName = "poisson") {
  const workload = createWorkload(name, options, seededRandom(seed));
  const faults = standardFaults(options.durationMs, options.nodeCount);
  return simulate(
    workload,
    POLICIES.get(policy)!,
    { model, nodeCount: options.nodeCount, oversubscription: 2, faults },
    seededRandom(seed),
  );
}

describe("the simulator", () => {
  it.each([...POLICIES.keys()])("runs %s the same way for the same seed, with nodes failing", (policy) => {
    const hashes = [1, 2, 3].map(() => run(policy, 7).eventHash);
    expect(new Set(hashes).size).toBe(1);
    expect(run(policy, 8).eventHash).not.toBe(hashes[0]);
  });

  it.each(Object.keys(ARRIVALS) as ArrivalsName[])("answers every request of %s, each after it was asked", (name) => {
    const { workload, firstTokenMs, doneMs, node } = run("ours", 3, name);
    expect(workload.requestCount).toBeGreaterThan(50);
    for (let request = 0; request < workload.requestCount; request++) {
      expect(firstTokenMs[request]).toBeGreaterThan(0);
      expect(doneMs[request]).toBeGreaterThanOrEqual(firstTokenMs[request]!);
      expect(node[request]).toBeGreaterThanOrEqual(0);
    }
  });
});
