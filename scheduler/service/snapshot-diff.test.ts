import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asBaseDigest, asDeltaDigest, asNodeId, asTenantId, EMPTY_SNAPSHOT, type NodeView, type Residency, type Snapshot } from "#kernel";
import { WatchSnapshotResponse } from "#proto";
import { applyDiff, diffMessages } from "./snapshot-diff.ts";

const base = asBaseDigest("b".repeat(64));

const anyResidency: fc.Arbitrary<Residency> = fc.record({
  tier: fc.constantFrom("slot", "ram", "disk"),
  state: fc.constantFrom("loading", "ready", "evicting"),
  tenantId: fc.constant(asTenantId("acme")),
  baseDigest: fc.constant(base),
  rank: fc.integer({ min: 1, max: 64 }),
  sizeBytes: fc.integer({ min: 1, max: 2 ** 40 }),
  references: fc.integer({ min: 0, max: 3 }),
  pinned: fc.boolean(),
});
const anyNode: fc.Arbitrary<NodeView> = fc.record({
  id: fc.constantFrom("n1", "n2", "n3").map(asNodeId),
  address: fc.constantFrom("n:1", "n:2"),
  state: fc.constantFrom("starting", "ready", "draining"),
  epoch: fc.constantFrom("a", "b"),
  bases: fc.constant(new Map()),
  deltas: fc.array(fc.tuple(fc.constantFrom("d1", "d2", "d3", "d4").map(asDeltaDigest), anyResidency)).map((entries) => new Map(entries)),
  reportedAt: fc.constant(7),
});
const anySnapshot = fc
  .tuple(fc.integer({ min: 1, max: 99 }), fc.array(anyNode))
  .map(([version, nodes]): Snapshot => ({ version, nodes: new Map(nodes.map((node) => [node.id, node])) }));

/** Over the wire and back. */
const received = (messages: Iterable<WatchSnapshotResponse>, onto: Snapshot) =>
  [...messages]
    .map((message) => WatchSnapshotResponse.decode(WatchSnapshotResponse.encode(message).finish()))
    .reduce((snapshot, message) => applyDiff(snapshot, message, 7), onto);

describe("snapshots on the wire", () => {
  it("arrive as they were sent, from any snapshot to any other", () => {
    fc.assert(
      fc.property(fc.array(anySnapshot, { minLength: 1, maxLength: 4 }), (snapshots) => {
        let sent: Snapshot | undefined;
        let there: Snapshot = EMPTY_SNAPSHOT;
        for (const snapshot of snapshots) {
          there = received(diffMessages(sent, snapshot), there);
          expect(there).toEqual(snapshot);
          sent = snapshot;
        }
      }),
    );
  });

  it("begin by forgetting whatever the receiver had", () => {
    fc.assert(
      fc.property(anySnapshot, anySnapshot, (old, snapshot) => {
        expect(received(diffMessages(undefined, snapshot), old)).toEqual(snapshot);
      }),
    );
  });

  it("say nothing of nodes that did not change, and only the changed deltas of those that did", () => {
    const residency = fc.sample(anyResidency, { numRuns: 1, seed: 1 })[0]!;
    const deltas = new Map([1, 2, 3].map((index) => [asDeltaDigest(`d${index}`), residency]));
    const node = { id: asNodeId("n1"), address: "n:1", state: "ready", epoch: "a", bases: new Map(), deltas, reportedAt: 7 } as const;
    const other = { ...node, id: asNodeId("n2") };
    const snapshot = (version: number, ...nodes: NodeView[]): Snapshot => ({
      version,
      nodes: new Map(nodes.map((view) => [view.id, view])),
    });
    const moved = new Map(deltas).set(asDeltaDigest("d2"), { ...residency, pinned: !residency.pinned });
    const [message] = diffMessages(snapshot(1, node, other), snapshot(2, { ...node, deltas: moved }, other));
    expect(message).toMatchObject({ version: 2, full: false, changed: [{ id: "n1", full: false, deltas: [{ digest: "d2" }] }] });
  });

  it("come in parts when they are large, and only the last part has the version", () => {
    const residency = fc.sample(anyResidency, { numRuns: 1, seed: 1 })[0]!;
    const nodes = ["n1", "n2", "n3"].map((id): [ReturnType<typeof asNodeId>, NodeView] => {
      const deltas = new Map(Array.from({ length: 5000 }, (_, index) => [asDeltaDigest(`${index}`.padStart(64, "0")), residency]));
      return [asNodeId(id), { id: asNodeId(id), address: "n:1", state: "ready", epoch: "a", bases: new Map(), deltas, reportedAt: 7 }];
    });
    const snapshot: Snapshot = { version: 9, nodes: new Map(nodes) };
    const messages = [...diffMessages(undefined, snapshot)];
    expect(messages.map(({ full }) => full)).toEqual([true, ...messages.slice(1).map(() => false)]);
    expect(messages.map(({ version }) => version)).toEqual([...messages.slice(1).map(() => 0), 9]);
    for (const message of messages) expect(WatchSnapshotResponse.encode(message).finish().length).toBeLessThan(2 ** 20);
    expect(received(messages, EMPTY_SNAPSHOT)).toEqual(snapshot);
    const emptied: Snapshot = { version: 10, nodes: new Map(nodes.map(([id, node]) => [id, { ...node, deltas: new Map() }])) };
    expect(received(diffMessages(snapshot, emptied), snapshot)).toEqual(emptied);
  });
});
