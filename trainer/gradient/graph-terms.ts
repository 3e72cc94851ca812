import { Fault } from "#kernel";
import type { NodeSpec } from "#model";

export type { Dimension, GraphBuilder, GraphSpec, NodeSpec, Value } from "#model";

/** An operator that the table lacks is refused by name, never skipped. */
export function opUnsupported(node: NodeSpec, what: "shape" | "gradient"): Fault {
  return new Fault("op_unsupported", `there is no ${what} rule for the operator ${node.domain ? `${node.domain}.` : ""}${node.type}`, {
    detail: { resource: node.type },
  });
}
