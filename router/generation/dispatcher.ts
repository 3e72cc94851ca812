import { type Clock, Fault, type Millis, type NodeView, type Random, SECOND, type Snapshot, toFault } from "#kernel";
import { type Ask, decide } from "#scheduler";
import type { NodeClient, NodeTransport } from "../nodes/index.ts";
import { AssumedLoad } from "./assumed-load.ts";
import { FailedNodes } from "./failed-nodes.ts";
import { ATTEMPTS_MAX } from "./request-progress.ts";

/** How long a request that has begun waits for a node: an agent restarts its engine within 2 s, and itself within 4. */
const NODE_WAIT_MS_MAX: Millis = 5 * SECOND;
/** Snapshots change about this often; each look costs microseconds. */
const NODE_POLL_MS: Millis = 100;

export interface DispatcherDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: NodeTransport;
  /** The last one that was heard. */
  readonly snapshot: () => Snapshot;
  /** Told of each decision, in one word. */
  readonly onDecision: (reason: string) => void;
}

/** What has to be placed. */
export interface PlacementAsk extends Omit<Ask, "excludedNodes"> {
  /** How many rows it takes: one per choice. */
  readonly rows: number;
}

/** A node that was chosen for some rows. Dispose it when they have ended. */
export interface Placement extends Disposable {
  readonly node: NodeView;
}

/** A node that was chosen to answer, the way to it, and the how manieth try this is. */
export interface Asked {
  readonly node: NodeView;
  readonly client: NodeClient;
  readonly attempt: number;
}

/** Finds nodes for requests, from the last snapshot and what this router itself has placed since. */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #assumed = new AssumedLoad();

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
  }

  /** The way to a node. @throws Fault node_lost when there is none any more */
  clientOf(node: NodeView): NodeClient {
    return this.#deps.transport.to(node);
  }

  /** A node, at once. @throws Fault no_ready_node or queue_full */
  place(ask: PlacementAsk, failed = new FailedNodes()): Placement {
    const { random, snapshot, onDecision } = this.#deps;
    const cluster = snapshot();
    const decision = decide({ ...ask, excludedNodes: failed.on(cluster) }, cluster, random, this.#assumed.on(cluster));
    onDecision(decision.kind === "node" ? decision.reason : `none_${decision.why}`);
    if (decision.kind === "none") {
      if (decision.why === "queue") throw new Fault("queue_full", "every node that could serve this has as much waiting as it may");
      throw new Fault("no_ready_node", "no node can serve this base now");
    }
    const { node } = decision;
    this.#assumed.placed(node, ask.rows);
    return { node, [Symbol.dispose]: () => this.#assumed.ended(node, ask.rows) };
  }

  /** A node for a request that failed elsewhere: waits a while for one, with what failed left out until it reports again. */
  async placeAgain(ask: PlacementAsk, failed: FailedNodes, signal: AbortSignal): Promise<Placement> {
    const waitUntil = this.#deps.clock.monotonic() + NODE_WAIT_MS_MAX;
    for (;;) {
      signal.throwIfAborted();
      try {
        return this.place(ask, failed);
      } catch (error) {
        if (toFault(error).retry.kind !== "after" || this.#deps.clock.monotonic() >= waitUntil) throw error;
      }
      await this.#deps.clock.after(NODE_POLL_MS, signal);
    }
  }

  /** Asks one node a question that is safe to repeat, and another one when that fails. */
  async ask<T>(ask: PlacementAsk, signal: AbortSignal, question: (asked: Asked) => Promise<T>): Promise<T> {
    const failed = new FailedNodes();
    for (let attempt = 1; ; attempt++) {
      using placement = attempt === 1 ? this.place(ask) : await this.placeAgain(ask, failed, signal);
      const { node } = placement;
      try {
        return await question({ node, client: this.clientOf(node), attempt });
      } catch (error) {
        signal.throwIfAborted();
        const { retry } = toFault(error);
        if (attempt === ATTEMPTS_MAX || (retry.kind !== "other_node" && retry.kind !== "after")) throw error;
        failed.add(node);
      }
    }
  }
}
