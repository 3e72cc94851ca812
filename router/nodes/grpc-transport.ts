import type { ServiceError } from "@grpc/grpc-js";
import { type Clock, Fault, isFault, MINUTE, type Millis, type NodeId, type NodeView, SECOND, type Snapshot } from "#kernel";
import {
  AttachRequest,
  type ClusterCredentials,
  DetachRequest,
  DrainRequest,
  type GrpcChannel,
  NodeServiceService as methods,
  openClusterChannel,
} from "#proto";
import type { NodeClient, NodeTransport } from "./contract.ts";

/** Longer than any client may wait, so that a node never works for a router that forgot it. */
const GENERATE_MS_MAX: Millis = 10 * MINUTE;
/** Prompts only: a long one on a busy node. */
const SCORE_MS_MAX: Millis = 2 * MINUTE;
const COUNT_MS_MAX: Millis = 10 * SECOND;
/** The node fetches up to 2 GiB and reads every number of it. */
const INSPECT_MS_MAX: Millis = 5 * MINUTE;
/** Reading and compiling a base from a cold disk. */
const ATTACH_BASE_MS_MAX: Millis = 10 * MINUTE;

interface Connection {
  readonly epoch: string;
  readonly address: string;
  readonly channel: GrpcChannel;
  readonly client: NodeClient;
}

/** One channel per node, for as long as the node is the same process at the same place. */
export function openGrpcTransport(deps: { readonly clock: Clock }, options: ClusterCredentials): NodeTransport {
  const connections = new Map<NodeId, Connection>();
  const close = (id: NodeId) => {
    const connection = connections.get(id);
    connections.delete(id);
    return connection?.channel[Symbol.asyncDispose]();
  };
  const same = (connection: Connection | undefined, node: NodeView | undefined) =>
    connection?.epoch === node?.epoch && connection?.address === node?.address;

  return {
    to(node) {
      const known = connections.get(node.id);
      if (known && same(known, node)) return known.client;
      void close(node.id);
      const channel = openClusterChannel(deps.clock, options, "node-agent", node.address);
      const connection = { epoch: node.epoch, address: node.address, channel, client: clientOver(channel, node.id) };
      connections.set(node.id, connection);
      return connection.client;
    },
    keepOnly(snapshot: Snapshot) {
      for (const [id, connection] of connections) if (!same(connection, snapshot.nodes.get(id))) void close(id);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...connections.keys()].map(close));
    },
  };
}

function clientOver(channel: GrpcChannel, id: NodeId): NodeClient {
  const asked = async <T>(signal: AbortSignal, answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      throw nodeFault(error, id, signal);
    }
  };
  return {
    generate(request, signal) {
      const explain = (fault: Fault) => nodeFault(fault, id, signal);
      return channel.serverStream(methods.generate, request, { signal, timeoutMs: GENERATE_MS_MAX, explain });
    },
    score: (request, signal) => asked(signal, channel.unary(methods.score, request, { signal, timeoutMs: SCORE_MS_MAX })),
    countTokens: (request, signal) => asked(signal, channel.unary(methods.countTokens, request, { signal, timeoutMs: COUNT_MS_MAX })),
    attachBase: (request, signal) => asked(signal, channel.unary(methods.attachBase, request, { signal, timeoutMs: ATTACH_BASE_MS_MAX })),
    inspect: (request, signal) => asked(signal, channel.unary(methods.inspect, request, { signal, timeoutMs: INSPECT_MS_MAX })),
    async attach(request, signal) {
      await asked(signal, channel.unary(methods.attach, AttachRequest.create(request), { signal, timeoutMs: INSPECT_MS_MAX }));
    },
    async detach(request, signal) {
      await asked(signal, channel.unary(methods.detach, DetachRequest.create(request), { signal, timeoutMs: GENERATE_MS_MAX }));
    },
    async drain(signal) {
      await asked(signal, channel.unary(methods.drain, DrainRequest.create(), { signal, timeoutMs: GENERATE_MS_MAX }));
    },
    async resume(signal) {
      await asked(signal, channel.unary(methods.resume, {}, { signal, timeoutMs: COUNT_MS_MAX }));
    },
  };
}

/**
 * What a failed call to a node means to the router. A stream that the transport ended without a word of the node's
 * own (reset, cut, cancelled from the other side) is a lost node, whatever code the transport chose for it.
 */
function nodeFault(error: unknown, id: NodeId, signal: AbortSignal): unknown {
  if (signal.aborted || !(error instanceof Fault)) return error;
  const spoken = (error.cause as ServiceError | undefined)?.metadata?.get("grpc-status-details-bin").length;
  const cut = isFault(error, "bug") || isFault(error, "client_gone") || isFault(error, "node_lost");
  return cut && !spoken ? new Fault("node_lost", "the node went away", { detail: { resource: id }, cause: error }) : error;
}
