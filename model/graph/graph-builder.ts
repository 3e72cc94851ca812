import {
  type Attribute,
  type Dimension,
  ELEMENT_BYTES,
  type ElementType,
  encodeModel,
  type GraphSpec,
  type InitializerSpec,
  MICROSOFT,
  type NodeSpec,
  type ValueSpec,
} from "./onnx-model.ts";

/** The name of a value in the graph; `ABSENT` stands for an optional input that is left out. */
export type Value = string;
export const ABSENT: Value = "";

type Attributes = Readonly<Record<string, Attribute>>;

/** Collects nodes, inputs, outputs and constants of one graph. Each method adds something and gives the value it makes. */
export class GraphBuilder {
  readonly #inputs: ValueSpec[] = [];
  readonly #outputs: ValueSpec[] = [];
  readonly #initializers = new Map<string, InitializerSpec>();
  readonly #nodes: NodeSpec[] = [];
  readonly #prefix: string;

  /** `prefix` keeps the names inside a branch apart from those outside. */
  constructor(prefix = "") {
    this.#prefix = prefix;
  }

  /** Without a shape, any number of dimensions will do. */
  input(name: string, type: ElementType, shape: readonly Dimension[] | undefined): Value {
    this.#inputs.push({ name, type, shape });
    return name;
  }

  /** Names `value` as a result of the graph. */
  output(name: string, value: Value, type: ElementType, shape: readonly Dimension[] | undefined): void {
    this.#nodes.push({ type: "Identity", domain: "", inputs: [value], outputs: [name], attributes: {} });
    this.#outputs.push({ name, type, shape });
  }

  /** A large constant whose bytes are given to the session under the same name. */
  weight(name: string, shape: readonly number[], type: ElementType = "float32"): Value {
    const sizeBytes = shape.reduce((product, size) => product * size, ELEMENT_BYTES[type]);
    this.#initializers.set(name, { name, type, shape, data: { external: name, sizeBytes } });
    return name;
  }

  integers(values: readonly number[]): Value {
    const name = `${this.#prefix}integers:${values.join(",")}`;
    const inline = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.#initializers.set(name, { name, type: "int64", shape: [values.length], data: { inline } });
    return name;
  }

  /** A single number, without dimensions. */
  integer(value: number): Value {
    const name = `${this.#prefix}integer:${value}`;
    const inline = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
    this.#initializers.set(name, { name, type: "int64", shape: [], data: { inline } });
    return name;
  }

  float(value: number): Value {
    const name = `${this.#prefix}float:${value}`;
    this.#initializers.set(name, { name, type: "float32", shape: [], data: { inline: new Uint8Array(Float32Array.of(value).buffer) } });
    return name;
  }

  /** An unsigned byte, without dimensions. */
  byte(value: number): Value {
    const name = `${this.#prefix}byte:${value}`;
    this.#initializers.set(name, { name, type: "uint8", shape: [], data: { inline: Uint8Array.of(value) } });
    return name;
  }

  /** A node of the ONNX standard with one output. */
  op(type: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.ops(type, inputs, 1, attributes)[0]!;
  }

  /** A node of the runtime's own operators with one output. */
  fused(type: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.ops(type, inputs, 1, attributes, MICROSOFT)[0]!;
  }

  /** Nodes with several outputs; those whose name is not wanted are left out, and need not be computed. */
  ops(
    type: string,
    inputs: readonly Value[],
    outputs: number | readonly boolean[],
    attributes: Attributes = {},
    domain = "",
  ): readonly Value[] {
    const wanted = typeof outputs === "number" ? new Array<boolean>(outputs).fill(true) : outputs;
    const names = wanted.map((want, index) => (want ? `${this.#prefix}${type}.${this.#nodes.length}.${index}` : ABSENT));
    this.#nodes.push({ type, domain, inputs, outputs: names, attributes });
    return names;
  }

  reshape(value: Value, shape: readonly number[]): Value {
    return this.op("Reshape", [value, this.integers(shape)]);
  }

  transpose(value: Value, order: readonly number[]): Value {
    return this.op("Transpose", [value], { perm: order.map(BigInt) });
  }

  split(value: Value, axis: number, sizes: readonly number[]): readonly Value[] {
    return this.ops("Split", [value, this.integers(sizes)], sizes.length, { axis: BigInt(axis) });
  }

  /**
   * A value that is computed by one of two branches; both may use values made before. The branch not taken costs
   * nothing, and the two may differ in shape.
   */
  choose(condition: Value, whenTrue: (branch: GraphBuilder) => Value, whenFalse: (branch: GraphBuilder) => Value): Value {
    const branch = (make: (branch: GraphBuilder) => Value, side: string): GraphSpec => {
      const builder = new GraphBuilder(`${this.#prefix}${this.#nodes.length}.${side}.`);
      builder.output(`${builder.#prefix}result`, make(builder), "float32", undefined);
      return builder.spec();
    };
    return this.op("If", [condition], { then_branch: branch(whenTrue, "then"), else_branch: branch(whenFalse, "else") });
  }

  /** The encoded model. */
  finish(): Uint8Array {
    return encodeModel(this.spec());
  }

  /** What has been added so far. */
  spec(): GraphSpec {
    return { inputs: this.#inputs, outputs: this.#outputs, initializers: [...this.#initializers.values()], nodes: this.#nodes };
  }
}
