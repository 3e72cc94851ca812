import fc from "fast-check";
import { expect, test } from "vitest";
import { asBaseDigest, asDeltaDigest, asNodeId, EMPTY_SNAPSHOT, type PlacementPlan } from "#kernel";
import { WatchSnapshotResponse } from "#proto";
import { applyDiff, diffMessages } from "./snapshot-diff.ts";

const anyName = fc.constantFrom("a", "b", "c", "d");
const anyPlan: fc.Arbitrary<PlacementPlan> = fc
  .record({
    leader: fc.option(anyName, { nil: undefined }),
    leaderEpoch: fc.integer({ min: 0, max: 5 }),
    copies: fc.dictionary(anyName, fc.array(anyName, { minLength: 1, maxLength: 3 })),
    bases: fc.dictionary(anyName, fc.record({ name: anyName, nodesWanted: fc.nat(9), demand: fc.nat(1000) })),
    handovers: fc.dictionary(anyName, fc.record({ copiesWanted: fc.nat(9), copiesDone: fc.nat(9) })),
  })
  .map(({ copies, bases, handovers, ...plan }) => ({
    ...plan,
    copies: new Map(Object.entries(copies).map(([digest, nodes]) => [asDeltaDigest(digest), nodes.map(asNodeId)])),
    bases: new Map(Object.entries(bases).map(([digest, target]) => [asBaseDigest(digest), { ...target }])),
    handovers: new Map(Object.entries(handovers).map(([id, handover]) => [asNodeId(id), { ...handover }])),
  }));

test("whoever watches knows the plan that is told, whatever the one before", () => {
  fc.assert(
    fc.property(fc.array(anyPlan, { minLength: 1, maxLength: 6 }), (plans) => {
      let sent: typeof EMPTY_SNAPSHOT | undefined;
      let seen = EMPTY_SNAPSHOT;
      for (const [index, plan] of plans.entries()) {
        const next = { version: index + 1, nodes: EMPTY_SNAPSHOT.nodes, plan };
        for (const message of diffMessages(sent, next)) {
          const wire = WatchSnapshotResponse.decode(WatchSnapshotResponse.encode(message).finish());
          seen = applyDiff(seen, wire, 0);
        }
        sent = next;
        expect(seen.plan).toEqual(plan);
      }
    }),
  );
});
