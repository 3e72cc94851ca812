import { expect, test } from "vitest";
import { asTenantId, VirtualClock } from "#kernel";
import type { PlacementAsk } from "../admission/index.ts";
import { memoryTransport } from "../nodes/index.ts";
import { BASE_DIGEST, nodeView, settableCluster, snapshotOf } from "../testing/cluster-of.ts";
import { Dispatcher } from "./dispatcher.ts";

const ASK: PlacementAsk = {
  ...{ tenantId: asTenantId("acme"), baseDigest: BASE_DIGEST, deltaDigest: undefined },
  ...{ promptTokensEstimate: 1, maxTokens: 1, rows: 1 },
};
const FEW = { rowsMax: 2, queueDepthMax: 1 };

function dispatcherOver(...ids: readonly string[]) {
  const cluster = settableCluster(snapshotOf(ids.map((id) => nodeView(id, { load: FEW }))));
  const reasons: string[] = [];
  const dispatcher = new Dispatcher({
    ...{ clock: new VirtualClock(), transport: memoryTransport(new Map()) },
    snapshot: () => cluster.snapshot,
    onDecision: (reason) => reasons.push(reason),
    onWaited: () => undefined,
  });
  return { dispatcher, cluster, reasons };
}

test("between two reports requests spread over the nodes, until all are full", () => {
  const { dispatcher, reasons } = dispatcherOver("a", "b");
  const placed = Array.from({ length: 6 }, () => dispatcher.place(ASK).node.id);
  expect(placed.filter((id) => id === "a").length).toBe(3);
  expect(() => dispatcher.place(ASK)).toThrow(expect.objectContaining({ reason: "queue_full" }));
  expect(reasons.at(-1)).toBe("none_queue");
});

test("what has ended makes room at once, without waiting for the next report", () => {
  const { dispatcher } = dispatcherOver("a");
  for (let index = 0; index < 100; index++) dispatcher.place(ASK)[Symbol.dispose]();
  expect(dispatcher.place(ASK).node.id).toBe("a");
});

test("what ends after a report that counted it makes room at once as well", () => {
  const { dispatcher, cluster } = dispatcherOver("a");
  const old = [0, 1, 2].map(() => dispatcher.place(ASK));
  cluster.set(snapshotOf([nodeView("a", { reportedAt: 1000, load: { ...FEW, rowsRunning: 2, queueDepth: 1 } })]));
  expect(() => dispatcher.place(ASK)).toThrow(expect.objectContaining({ reason: "queue_full" }));
  old[0]![Symbol.dispose]();
  dispatcher.place(ASK);
  expect(() => dispatcher.place(ASK)).toThrow(expect.objectContaining({ reason: "queue_full" }));
});

test("a report that is older than what was placed hides none of it, and what others have placed counts beside it", () => {
  const { dispatcher, cluster } = dispatcherOver("a");
  const own = [0, 1].map(() => dispatcher.place(ASK));
  cluster.set(snapshotOf([nodeView("a", { reportedAt: 1000, load: FEW })]));
  dispatcher.place(ASK);
  expect(() => dispatcher.place(ASK)).toThrow(expect.objectContaining({ reason: "queue_full" }));
  cluster.set(snapshotOf([nodeView("a", { reportedAt: 2000, load: { ...FEW, rowsRunning: 2, queueDepth: 3 } })]));
  for (const placement of own) placement[Symbol.dispose]();
  expect(() => dispatcher.place(ASK)).toThrow(expect.objectContaining({ reason: "queue_full" }));
});

test("what ran on a node that started anew is gone with it", () => {
  const { dispatcher, cluster } = dispatcherOver("a");
  const old = [0, 1, 2].map(() => dispatcher.place(ASK));
  cluster.set(snapshotOf([{ ...nodeView("a", { reportedAt: 1000, load: FEW }), epoch: "2" }]));
  const now = [0, 1, 2].map(() => dispatcher.place(ASK));
  for (const placement of old) placement[Symbol.dispose]();
  expect(() => dispatcher.place(ASK)).toThrow(expect.objectContaining({ reason: "queue_full" }));
  expect(now.map(({ node }) => node.epoch)).toEqual(["2", "2", "2"]);
});

test("a node that failed a request stays out of it until it reports again or starts anew", () => {
  const { dispatcher, cluster } = dispatcherOver("a");
  const failed = dispatcher.failures();
  const view = cluster.snapshot.nodes.values().next().value!;
  failed.add(view);
  expect(() => dispatcher.place(ASK, failed)).toThrow(expect.objectContaining({ reason: "no_ready_node" }));
  expect(dispatcher.place(ASK).node.id).toBe("a");
  cluster.set(snapshotOf([{ ...view, epoch: "2" }]));
  expect(dispatcher.place(ASK, failed).node.epoch).toBe("2");
});

test("a node whose connection broke is left out until it reports again, however often it has since the request was sent there", () => {
  const { dispatcher, cluster } = dispatcherOver("a");
  const { node } = dispatcher.place(ASK);
  cluster.set(snapshotOf([{ ...node, reportedAt: node.reportedAt + 1_000 }]));
  dispatcher.lost(node);
  expect(() => dispatcher.place(ASK)).toThrow(expect.objectContaining({ reason: "no_ready_node" }));
  cluster.set(snapshotOf([{ ...node, reportedAt: node.reportedAt + 2_000 }]));
  expect(dispatcher.place(ASK).node.id).toBe("a");
});
