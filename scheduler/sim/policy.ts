import type { CreateEvictionOrder, Millis } from "#kernel";
import type { DeltaCatalog } from "./delta-catalog.ts";
import type { FastRandom } from "./fast-random.ts";
import type { NodeModel } from "./node-model.ts";
import type { NodeBehaviour, SimNode } from "./sim-node.ts";

/** The cluster as a router sees it. Reports are taken to be instant, for every policy alike. */
export interface SimCluster {
  readonly model: NodeModel;
  readonly deltas: DeltaCatalog;
  readonly nodes: readonly SimNode[];
  /** Indexes of the nodes that are there; the same array as long as nothing changes. */
  readonly alive: readonly number[];
  readonly nowMs: Millis;
  /** Nodes on which the delta has a slot, also while it is loading into it. */
  holders(delta: number): readonly number[];
}

/** What a router knows of a request: not how long its answer will be. */
export interface SimAsk {
  readonly delta: number;
  readonly promptTokens: number;
}

/** A policy at work on one cluster. Must choose among `cluster.alive`. */
export interface RunningPolicy {
  route(ask: SimAsk): number;
  /** A new delta or version; it has no traffic yet. */
  published?(delta: number): void;
  /** Called every `roundMs` of the policy. */
  round?(): void;
}

/** Where requests go, and what nodes do with deltas. One per file, each naming its source. */
export interface Policy {
  readonly name: string;
  /** `online` (the default) is compared; a `bound` has what no one can have; a `variant` tells what a part of ours is worth. */
  readonly role?: "online" | "bound" | "variant";
  /** Paper, system or file that it follows, and where it is simpler. */
  readonly source: string;
  readonly behaviour?: Partial<NodeBehaviour>;
  readonly createOrder?: CreateEvictionOrder;
  readonly unloadBufferShare?: number;
  readonly roundMs?: Millis;
  start(cluster: SimCluster, random: FastRandom): RunningPolicy;
}
