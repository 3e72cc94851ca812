import { Fault, type NodeId } from "#kernel";
import type { NodeClient, NodeTransport } from "./contract.ts";

/** Nodes in this process, reached by a function call. One that is not in the map is lost. */
export function memoryTransport(nodes: ReadonlyMap<NodeId, NodeClient>): NodeTransport {
  return {
    to(node) {
      const client = nodes.get(node.id);
      if (!client) throw new Fault("node_lost", "the node went away", { detail: { resource: node.id } });
      return client;
    },
    keepOnly: () => undefined, // Nothing is open.
    [Symbol.asyncDispose]: async () => undefined,
  };
}
