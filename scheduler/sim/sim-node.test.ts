import { expect, it } from "vitest";
import { seededRandom } from "#kernel";
import type { Workload } from "./delta-catalog.ts";
import { NODE_MODELS } from "./node-model.ts";
import type { Policy } from "./policy.ts";
import { simulate } from "./simulator.ts";

const [LARGE, OTHER, SMALL] = [0, 1, 2];
const onOneNode: Policy = { name: "one node", source: "this test", start: () => ({ route: () => 0 }) };

/** One request every millisecond, each with a text of about a second. */
function workloadOf(deltas: readonly number[]): Workload {
  const sizeBytes = Float64Array.of(60, 60, 30);
  return {
    ...{ name: "test", durationMs: 1000, requestCount: deltas.length, delta: Int32Array.from(deltas) },
    arrivedAtMs: Float64Array.from(deltas, (_, request) => request + 1),
    promptTokens: new Int32Array(deltas.length).fill(8),
    outputTokens: new Int32Array(deltas.length).fill(50),
    deltas: {
      ...{ count: 3, rank: Int32Array.of(8, 8, 8), sizeBytes, hash: Uint32Array.of(1, 2, 3) },
      ...{ publishedAtMs: new Float64Array(3), replaces: new Int32Array(3).fill(-1) },
    },
  };
}

it("lets who waited for its slot have its row before those that came later", () => {
  const workload = workloadOf([LARGE, OTHER, SMALL, SMALL, SMALL]); // The second finds no room beside the first; the small ones do.
  const model = { ...NODE_MODELS["cpu-124m"]!, rowsMax: 1 };
  const bytes = { slot: 100, ram: 1000, disk: 1000 };
  const run = simulate(workload, onOneNode, { model, nodeCount: 1, oversubscription: 1, bytes }, seededRandom(1));
  const order = [0, 1, 2, 3, 4].sort((one, other) => run.stages.rowAtMs[one]! - run.stages.rowAtMs[other]!);
  expect(order).toEqual([0, 2, 1, 3, 4]); // One small one took the free row while the second loaded.
});
