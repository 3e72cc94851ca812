import { expect, test } from "vitest";
import { type NodeView, systemClock } from "#kernel";
import {
  FinishReason,
  implement,
  NodeServiceGenerateRequest,
  NodeServiceService,
  type RunningGrpcServer,
  Sampling,
  startGrpcServer,
} from "#proto";
import { nodeView, snapshotOf } from "../testing/cluster-of.ts";
import { type NodeScript, scriptedNode } from "../testing/scripted-node.ts";
import { openGrpcTransport } from "./grpc-transport.ts";

const REQUEST = NodeServiceGenerateRequest.create({
  prompt: { kind: { $case: "text", value: "hello" } },
  sampling: { ...Sampling.create(), maxTokens: 20, seed: "1" },
});

/** A scripted node behind a real server. */
async function serve(
  script: NodeScript,
): Promise<{ readonly server: RunningGrpcServer; readonly view: NodeView; readonly credentials: (string | undefined)[] }> {
  const credentials: (string | undefined)[] = [];
  const node = scriptedNode(script);
  const implementation = implement(
    NodeServiceService,
    {
      generate(request, { signal, credential }) {
        credentials.push(credential);
        return node.generate(request, signal);
      },
      score: (request, { signal }) => node.score(request, signal),
      countTokens: (request, { signal }) => node.countTokens(request, signal),
      attachBase: (request, { signal }) => node.attachBase(request, signal),
      inspect: (request, { signal }) => node.inspect(request, signal),
      async attach(request, { signal }) {
        await node.attach(request, signal);
        return {};
      },
      async detach(request, { signal }) {
        await node.detach(request, signal);
        return {};
      },
      async drain(_, { signal }) {
        await node.drain(signal);
        return {};
      },
      async resume(_, { signal }) {
        await node.resume(signal);
        return {};
      },
      fetchDelta: async function* () {},
    },
    { clock: systemClock },
  );
  const name = "deltaplane.v1.NodeService";
  const server = await startGrpcServer({
    listen: "127.0.0.1:0",
    clock: systemClock,
    services: [{ name, definition: NodeServiceService, implementation }],
  });
  return { server, credentials, view: { ...nodeView("a"), address: `127.0.0.1:${server.port}` } };
}

const slow: NodeScript = { pace: (signal) => systemClock.after(20, signal) };
const alive = () => new AbortController().signal;

test("a text comes over the wire, under the cluster's key", async () => {
  const { server, view, credentials } = await serve({});
  await using _server = server;
  await using transport = openGrpcTransport({ clock: systemClock }, { clusterKey: "secret" });
  const pieces = await Array.fromAsync(transport.to(view).generate(REQUEST, alive()));
  expect(pieces.at(-1)?.finishReason).not.toBe(FinishReason.FINISH_REASON_UNSPECIFIED);
  expect(credentials).toEqual(["secret"]);
});

test("a node that is cut off in the middle is a lost node, whatever the transport calls it", async () => {
  const { server, view } = await serve(slow);
  await using transport = openGrpcTransport({ clock: systemClock }, { clusterKey: "secret" });
  const pieces = transport.to(view).generate(REQUEST, alive())[Symbol.asyncIterator]();
  await pieces.next();
  await server.drain(0);
  await expect(Array.fromAsync({ [Symbol.asyncIterator]: () => pieces })).rejects.toMatchObject({
    reason: "node_lost",
    retry: { kind: "other_node" },
  });
});

test("a node that is not there is lost", async () => {
  const { server, view } = await serve({});
  await server.drain(0);
  await using transport = openGrpcTransport({ clock: systemClock }, { clusterKey: "secret" });
  await expect(transport.to(view).countTokens({ baseDigest: "", prompt: undefined }, alive())).rejects.toMatchObject({
    reason: "node_lost",
  });
});

test("what a node says itself is passed on as it is", async () => {
  const { server, view } = await serve({ death: () => ({ afterPieces: 1, reason: "bug" }) });
  await using _server = server;
  await using transport = openGrpcTransport({ clock: systemClock }, { clusterKey: "secret" });
  await expect(Array.fromAsync(transport.to(view).generate(REQUEST, alive()))).rejects.toMatchObject({ reason: "bug" });
});

test("our own cancellation is the signal's reason, not a lost node", async () => {
  const { server, view } = await serve(slow);
  await using _server = server;
  await using transport = openGrpcTransport({ clock: systemClock }, { clusterKey: "secret" });
  const cancel = new AbortController();
  const reason = new Error("enough");
  const pieces = transport.to(view).generate(REQUEST, cancel.signal)[Symbol.asyncIterator]();
  await pieces.next();
  cancel.abort(reason);
  await expect(pieces.next()).rejects.toBe(reason);
});

test("a node that started again gets a channel of its own, one that stayed keeps its", async () => {
  const { server, view } = await serve({});
  await using _server = server;
  await using transport = openGrpcTransport({ clock: systemClock }, { clusterKey: "secret" });
  const first = transport.to(view);
  transport.keepOnly(snapshotOf([view]));
  expect(transport.to({ ...view, reportedAt: 5 })).toBe(first);
  const again = transport.to({ ...view, epoch: "2" });
  expect(again).not.toBe(first);
  transport.keepOnly(snapshotOf([]));
  expect(transport.to({ ...view, epoch: "2" })).not.toBe(again);
});
