/** Models of node-agent/engine/runner/tiny-checkpoint.ts; two, for a processor that plays a device compiles the kernels of each for seconds. */
export const CASES = [
  ["llama, all biases, untied, linear positions", "int4"],
  ["gpt2", "int8"],
] as const;

/** What the process of device-quantised.test.ts found out about one of them. */
export interface QuantisedReport {
  readonly name: string;
  readonly weights: "int8" | "int4";
  /** Of each row's logits from those of plain sums: after the prompts, and after one token more. */
  readonly distances: readonly number[];
  /** On the device, and what node-agent/memory-budget.ts says of it and of the same in float32. */
  readonly weightBytes: number;
  readonly foreseenBytes: number;
  readonly foreseenFloat32Bytes: number;
}
