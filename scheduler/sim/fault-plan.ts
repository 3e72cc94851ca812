import { assert, type Millis } from "#kernel";

/** What goes wrong, when, and for how long; everything is well again at its end. */
export type SimFault =
  /** The node's process dies; it comes back without slots and RAM, with its disk. */
  | { readonly kind: "node-down"; readonly node: number; readonly atMs: Millis; readonly lastsMs: Millis }
  /** All of the node's steps take `factor` times as long. */
  | { readonly kind: "node-slow"; readonly node: number; readonly atMs: Millis; readonly lastsMs: Millis; readonly factor: number }
  /** Loads from the object store take `factor` times as long, on all nodes. */
  | { readonly kind: "store-slow"; readonly atMs: Millis; readonly lastsMs: Millis; readonly factor: number };

/** What `--faults` runs: one of each kind, one after the other, in the measured part of the run. */
export function standardFaults(durationMs: Millis, nodeCount: number): readonly SimFault[] {
  assert(nodeCount > 1, "a fault needs a node that is left");
  const lastsMs = durationMs / 10;
  return [
    { kind: "node-down", node: 0, atMs: 0.3 * durationMs, lastsMs },
    { kind: "node-slow", node: 1, atMs: 0.5 * durationMs, lastsMs, factor: 3 },
    { kind: "store-slow", atMs: 0.7 * durationMs, lastsMs, factor: 10 },
  ];
}
