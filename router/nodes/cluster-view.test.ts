import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { asNodeId, Fault, systemClock } from "#kernel";
import {
  ClusterServiceService,
  implement,
  NodeState,
  type RunningGrpcServer,
  requireClusterKey,
  startGrpcServer,
  type WatchSnapshotResponse,
} from "#proto";
import { startClusterView } from "./cluster-view.ts";

/** A scheduler that knows one node, and says so at once and then often. */
async function scheduler(nodeId: string, leaderEpoch = 0, drained: string[] = []): Promise<RunningGrpcServer> {
  const full: WatchSnapshotResponse = {
    ...{ version: 1, full: true, goneNodeIds: [] },
    plan: { leader: "", leaderEpoch, full: true, changedCopies: [], bases: [], handovers: [] },
    changed: [
      {
        ...{ id: nodeId, address: "127.0.0.1:1", state: NodeState.NODE_STATE_READY, epoch: "1" },
        ...{ bases: [], full: true, deltas: [], removedDigests: [] },
      },
    ],
  };
  const implementation = implement(
    ClusterServiceService,
    {
      report: async () => ({}),
      async drainNode({ nodeId: leaving }) {
        if (leaderEpoch === 0) throw new Fault("lease_lost", "it does not lead");
        drained.push(leaving);
        return {};
      },
      async *watchSnapshot(_, { signal, credential }) {
        requireClusterKey(credential, "secret");
        yield full;
        for (;;) {
          await sleep(50, undefined, { signal });
          yield { version: 1, full: false, changed: [], goneNodeIds: [], plan: undefined };
        }
      },
    },
    { clock: systemClock },
  );
  const name = "deltaplane.v1.ClusterService";
  return startGrpcServer({
    listen: "127.0.0.1:0",
    clock: systemClock,
    services: [{ name, definition: ClusterServiceService, implementation }],
  });
}

const addressOf = (server: RunningGrpcServer) => `127.0.0.1:${server.port}`;

test("the view is what a scheduler says, and stays when it falls silent", async () => {
  const server = await scheduler("a");
  const told: number[] = [];
  const onSnapshot = ({ nodes }: { nodes: ReadonlyMap<string, unknown> }) => told.push(nodes.size);
  await using view = startClusterView({ clock: systemClock, onSnapshot }, { schedulers: [addressOf(server)], clusterKey: "secret" });
  await expect.poll(() => [...view.snapshot.nodes.keys()]).toEqual(["a"]);
  expect(view.ageMs()).toBeLessThan(1000);
  expect(told.at(-1)).toBe(1);
  await server.drain(0);
  expect([...view.snapshot.nodes.keys()]).toEqual(["a"]);
});

test("of two schedulers one is believed for as long as it speaks, then the other", async () => {
  const [first, second] = [await scheduler("a"), await scheduler("b")];
  const schedulers = [first, second].map(addressOf);
  await using view = startClusterView(
    { clock: systemClock, onSnapshot: () => undefined },
    { schedulers, clusterKey: "secret", silenceMsMax: 300 },
  );
  const seen = () => [...view.snapshot.nodes.keys()][0];
  await expect.poll(seen).toBeDefined();
  const believed = seen();
  await sleep(200);
  expect(seen()).toBe(believed);
  await (believed === "a" ? first : second).drain(0);
  await expect.poll(seen, { timeout: 3000 }).toBe(believed === "a" ? "b" : "a");
  await (believed === "a" ? second : first).drain(0);
});

test("one that leads is believed at once, the one with the higher epoch, and it is the one that drains", async () => {
  const drained: string[] = [];
  const [follower, old, leader] = [await scheduler("a"), await scheduler("b", 3), await scheduler("c", 4, drained)];
  const schedulers = [follower, leader].map(addressOf);
  await using view = startClusterView({ clock: systemClock, onSnapshot: () => undefined }, { schedulers, clusterKey: "secret" });
  const seen = () => [...view.snapshot.nodes.keys()][0];
  await expect.poll(seen).toBe("c");
  await view.drain(asNodeId("node-1"), new AbortController().signal);
  expect(drained).toEqual(["node-1"]);
  await using both = startClusterView(
    { clock: systemClock, onSnapshot: () => undefined },
    { schedulers: [old, leader].map(addressOf), clusterKey: "secret" },
  );
  await expect.poll(() => [...both.snapshot.nodes.keys()][0]).toBe("c");
  await Promise.all([follower, old, leader].map((server) => server.drain(0)));
});

test("without a scheduler there is nothing to see, and nothing to wait for", async () => {
  await using view = startClusterView({ clock: systemClock, onSnapshot: () => undefined }, { schedulers: [], clusterKey: "secret" });
  expect(view.snapshot.nodes.size).toBe(0);
  expect(view.ageMs()).toBeUndefined();
});
