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
  /** With a queue only: which nodes it may go to. */
  readonly hasRoom?: (node: number) => boolean;
  /** Not where its delta would have to wait for a slot. */
  readonly needsSlot?: boolean;
}

/** A queue before the nodes: a request is bound to a node when that has a row for it, and not before. */
export interface QueueRules {
  /** `turns`: who is next goes by tenants' counters, as in production. `arrival`: first come, first served. */
  readonly order: "turns" | "arrival";
  /** Requests wait for slots here and not on nodes. */
  readonly needsSlot: boolean;
  /** Bounds only: the row that ends at the end of a step is filled in the next, which no message could do. */
  readonly instant?: boolean;
}

/** A policy at work on one cluster. */
export interface RunningPolicy {
  /** One of `cluster.alive`; undefined only when the ask's own limits leave none. */
  route(ask: SimAsk): number | undefined;
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
  /** Default: none, a request goes to a node when it comes. */
  readonly queue?: QueueRules;
  readonly createOrder?: CreateEvictionOrder;
  readonly unloadBufferShare?: number;
  readonly roundMs?: Millis;
  start(cluster: SimCluster, random: FastRandom): RunningPolicy;
}
