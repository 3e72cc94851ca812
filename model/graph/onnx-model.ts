import { ProtobufWriter } from "./protobuf-writer.ts";

/** ONNX element types that our graphs use, with their numbers in TensorProto.DataType. */
export const ELEMENT_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
};

/** A fixed size, or the name of one that is known at run time only. */
export type Dimension = number | string;

export interface ValueSpec {
  readonly name: string;
  readonly type: ElementType;
  /** Undefined where even the number of dimensions is not fixed. */
  readonly shape: readonly Dimension[] | undefined;
}

/** A constant: small ones carry their bytes, large ones name a blob that is handed to the session beside the model. */
export interface InitializerSpec {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: { readonly inline: Uint8Array } | { readonly external: string; readonly sizeBytes: number };
}

/** Integers must be given as bigint, since a number is a float attribute here. A graph is the branch of an `If`. */
export type Attribute = number | bigint | string | readonly bigint[] | GraphSpec;

export interface NodeSpec {
  readonly type: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface GraphSpec {
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  readonly initializers: readonly InitializerSpec[];
  readonly nodes: readonly NodeSpec[];
}

export const MICROSOFT = "com.microsoft";
const IR_VERSION = 10;
const OPSETS = [
  { domain: "", version: 21 },
  { domain: MICROSOFT, version: 1 },
];

/** Encodes a ModelProto. Field numbers: onnx/onnx.proto. */
export function encodeModel(graph: GraphSpec): Uint8Array {
  const model = new ProtobufWriter().integer(1, IR_VERSION).text(2, "deltaplane");
  for (const { domain, version } of OPSETS) model.message(8, new ProtobufWriter().text(1, domain).integer(2, version));
  return model.message(7, encodeGraph(graph)).finish();
}

function encodeGraph({ nodes, initializers, inputs, outputs }: GraphSpec): ProtobufWriter {
  const graph = new ProtobufWriter();
  for (const node of nodes) graph.message(1, encodeNode(node));
  graph.text(2, "decoder");
  for (const initializer of initializers) graph.message(5, encodeInitializer(initializer));
  for (const input of inputs) graph.message(11, encodeValue(input));
  for (const output of outputs) graph.message(12, encodeValue(output));
  return graph;
}

function encodeNode({ type, domain, inputs, outputs, attributes }: NodeSpec): ProtobufWriter {
  const node = new ProtobufWriter();
  for (const input of inputs) node.text(1, input);
  for (const output of outputs) node.text(2, output);
  node.text(3, outputs[0] ?? type).text(4, type);
  for (const [name, value] of Object.entries(attributes)) node.message(5, encodeAttribute(name, value));
  return node.text(7, domain);
}

function encodeAttribute(name: string, value: Attribute): ProtobufWriter {
  const attribute = new ProtobufWriter().text(1, name);
  if (typeof value === "number") return attribute.float(2, value).integer(20, 1);
  if (typeof value === "bigint") return attribute.integer(3, value).integer(20, 2);
  if (typeof value === "string") return attribute.text(4, value).integer(20, 3);
  if ("nodes" in value) return attribute.message(6, encodeGraph(value)).integer(20, 5);
  for (const item of value) attribute.integer(8, item);
  return attribute.integer(20, 7);
}

function encodeInitializer({ name, type, shape, data }: InitializerSpec): ProtobufWriter {
  const tensor = new ProtobufWriter();
  for (const size of shape) tensor.integer(1, size);
  tensor.integer(2, ELEMENT_TYPES[type]).text(8, name);
  if ("inline" in data) return tensor.bytes(9, data.inline);
  const location = { location: data.external, offset: "0", length: String(data.sizeBytes) };
  for (const [key, value] of Object.entries(location)) tensor.message(13, new ProtobufWriter().text(1, key).text(2, value));
  return tensor.integer(14, 1);
}

function encodeValue({ name, type, shape }: ValueSpec): ProtobufWriter {
  const dimensions = new ProtobufWriter();
  for (const size of shape ?? []) {
    dimensions.message(1, typeof size === "number" ? new ProtobufWriter().integer(1, size) : new ProtobufWriter().text(2, size));
  }
  const tensor = new ProtobufWriter().integer(1, ELEMENT_TYPES[type]);
  if (shape) tensor.message(2, dimensions);
  return new ProtobufWriter().text(1, name).message(2, new ProtobufWriter().message(1, tensor));
}
