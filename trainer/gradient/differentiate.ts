import { assert } from "#kernel";
import { GRADIENT_RULES } from "./gradient-rules.ts";
import { type GraphBuilder, type NodeSpec, opUnsupported, type Value } from "./graph-terms.ts";
import { inferShapes } from "./shapes.ts";

/**
 * Adds to `graph` the gradient of the scalar `loss` with respect to each parameter, by reverse accumulation: the nodes
 * are walked from the loss back, and the rule of each operator says what its inputs get of what its outputs got. Only
 * what lies on a way from a parameter to the loss is computed. Gives the gradient of each parameter, of its own shape.
 *
 * @throws Fault op_unsupported, naming an operator on such a way that the table of rules lacks
 */
export function differentiate(graph: GraphBuilder, loss: Value, parameters: readonly string[]): ReadonlyMap<string, Value> {
  const spec = graph.spec();
  const nodes = [...spec.nodes];
  const shapes = inferShapes(spec);
  const shapeOf = (value: Value) => shapes.get(value) ?? [];
  const learned = dependents(nodes, parameters);
  assert(learned.has(loss), "the loss depends on the parameters");

  const shares = new Map<Value, Value[]>([[loss, [graph.float(1)]]]);
  const total = (value: Value): Value | undefined => {
    const parts = shares.get(value);
    if (!parts) return undefined;
    if (parts.length > 1) shares.set(value, [graph.op("Sum", parts)]);
    return shares.get(value)![0];
  };
  for (const node of nodes.toReversed()) {
    if (!node.inputs.some((input) => learned.has(input))) continue;
    const gradients = node.outputs.map(total);
    if (gradients.every((gradient) => gradient === undefined)) continue;
    const rule = GRADIENT_RULES[node.type];
    if (!rule) throw opUnsupported(node, "gradient");
    const wants = (index: number) => learned.has(node.inputs[index]!);
    for (const [index, share] of rule({ graph, node, gradients, shapeOf, wants }).entries()) {
      if (share === undefined || !wants(index)) continue;
      const input = node.inputs[index]!;
      shares.set(input, [...(shares.get(input) ?? []), share]);
    }
  }
  return new Map(
    parameters.map((parameter) => {
      const gradient = total(parameter);
      assert(gradient !== undefined, `the loss depends on ${parameter}`);
      return [parameter, gradient];
    }),
  );
}

/** Everything that changes with the parameters. */
function dependents(nodes: readonly NodeSpec[], parameters: readonly string[]): ReadonlySet<Value> {
  const dependent = new Set<Value>(parameters);
  for (const node of nodes) {
    if (node.inputs.some((input) => dependent.has(input))) for (const output of node.outputs) dependent.add(output);
  }
  return dependent;
}
