import {
  type BaseDigest,
  type Clock,
  Fault,
  isFault,
  type Millis,
  type NodeId,
  type NodeView,
  SECOND,
  type Snapshot,
  toFault,
} from "#kernel";
import { type Ahead, anyRoom, ClusterPicks, type Decision, type HasRoom, type Refusal, roomFor } from "#scheduler";
import { type Attempt, FairQueue, type Placement, type PlacementAsk, type QueueLimits, type WaitingRoom } from "../admission/index.ts";
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
  readonly transport: NodeTransport;
  /** The last one that was heard. */
  readonly snapshot: () => Snapshot;
  /** Told of each decision, in one word. */
  readonly onDecision: (reason: string) => void;
  /** Told of every request that got its first node: how long it took. */
  readonly onWaited: (waitMs: Millis) => void;
  /** Default: no base is woken. */
  readonly room?: WaitingRoom;
}

/** What a node may lack now and have in a moment. */
const WAITED_FOR: ReadonlySet<Refusal> = new Set(["full", "queue", "excluded", "slot"]);

/** A node that was chosen to answer, the way to it, and the how manieth try this is. */
export interface Asked {
  readonly node: NodeView;
  readonly client: NodeClient;
  readonly attempt: number;
}

/** Finds nodes for requests, from the last snapshot and what this router itself has placed since. */
export class Dispatcher {
  /** Where first attempts wait until a node has room for them. */
  readonly queue: FairQueue;
  readonly #deps: DispatcherDeps;
  readonly #assumed = new Map<BaseDigest, AssumedLoad>();
  readonly #lost: FailedNodes;
  readonly #picks = new ClusterPicks({ assumedRows: (baseDigest, node) => this.#assumedFor(baseDigest).on(node) });

  constructor(deps: DispatcherDeps, limits?: QueueLimits) {
    this.#deps = deps;
    this.#lost = this.failures();
    this.queue = new FairQueue(
      {
        clock: deps.clock,
        onWaited: deps.onWaited,
        tryPlace: (ask, ahead) => this.tryPlace(ask, ahead),
        ...(deps.room && { room: deps.room }),
      },
      limits,
    );
  }

  /** The cluster has changed: whoever waits is tried again. What changed is looked at now, and not by the next request. */
  follow(snapshot: Snapshot): void {
    this.#picks.follow(snapshot);
    this.queue.wakeAll();
  }

  /** The way to a node. @throws Fault node_lost when there is none any more */
  clientOf(node: NodeView): NodeClient {
    return this.#deps.transport.to(node);
  }

  /** Keeps the nodes that fail one request. */
  failures(): FailedNodes {
    return new FailedNodes(() => this.#deps.snapshot());
  }

  /** Its connection broke, or was silent for too long: nobody is sent there before it reports again. */
  lost(node: NodeView): void {
    this.#lost.add(node);
  }

  /** A node that has a row for it, or is sent more than it has rows when it may go `ahead`, and why not when there is none. */
  tryPlace(ask: PlacementAsk, ahead: Ahead): Attempt {
    const decision = this.#decide(ask, this.#lost.present(), roomFor(ahead));
    if (decision.kind === "node") return { kind: "placed", placement: this.#placed(ask, decision) };
    // A node whose connection was lost is back with its next report, or known to be gone: that is worth a wait.
    if (!WAITED_FOR.has(decision.why)) {
      return { kind: "none", fault: this.#refusal(decision.why), asleep: !this.#isServed(ask.baseDigest) };
    }
    return { kind: decision.roomElsewhere ? "unfit" : "full" };
  }

  /**
   * A node that takes it at all, at once: for what goes on after another node failed, which has waited already, and for
   * what takes no row.
   * @throws Fault no_ready_node or queue_full
   */
  place(ask: PlacementAsk, failed = this.failures()): Placement {
    const decision = this.#decide(ask, failed.present().union(this.#lost.present()), anyRoom);
    if (decision.kind === "none") throw this.#refusal(decision.why);
    return this.#placed(ask, decision);
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

  /** Asks one node a question that is safe to repeat, and another one when that fails. What takes a row waits for its turn. */
  async ask<T>(ask: PlacementAsk, signal: AbortSignal, question: (asked: Asked) => Promise<T>, deadlineAt?: Millis): Promise<T> {
    const failed = this.failures();
    using turn = ask.rows === 0 ? undefined : await this.queue.enter(ask, signal, deadlineAt);
    for (let attempt = 1; ; attempt++) {
      using placement = attempt === 1 ? (turn?.placement ?? this.place(ask)) : await this.placeAgain(ask, failed, signal);
      const { node } = placement;
      try {
        return await question({ node, client: this.clientOf(node), attempt });
      } catch (error) {
        signal.throwIfAborted();
        const { retry } = toFault(error);
        if (isFault(error, "node_lost")) this.lost(node);
        if (attempt === ATTEMPTS_MAX || (retry.kind !== "other_node" && retry.kind !== "after")) throw error;
        failed.add(node);
      }
    }
  }

  /** Whether a node with the base is there, ready or about to be. */
  #isServed(baseDigest: BaseDigest): boolean {
    for (const node of this.#deps.snapshot().nodes.values()) if (node.state !== "draining" && node.bases.has(baseDigest)) return true;
    return false;
  }

  #decide(ask: PlacementAsk, excludedNodes: ReadonlySet<NodeId>, hasRoom: HasRoom): Decision {
    this.#picks.follow(this.#deps.snapshot());
    return this.#picks.pick({ ...ask, excludedNodes }, hasRoom);
  }

  #placed(ask: PlacementAsk, { node, reason, deltaSources }: Extract<Decision, { kind: "node" }>): Placement {
    const { baseDigest, rows } = ask;
    let hasAnswered = false;
    const answered = () => {
      if (!hasAnswered) this.#picks.answered(ask, node.id);
      hasAnswered = true;
    };
    this.#deps.onDecision(reason);
    if (rows === 0) return { node, deltaSources, answered, [Symbol.dispose]: () => undefined };
    const assumed = this.#assumedFor(baseDigest);
    assumed.placed(node, rows);
    this.#picks.rowsChanged(baseDigest, node.id);
    let ended = false;
    return {
      node,
      reason,
      deltaSources,
      answered,
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        assumed.ended(node, rows, this.#deps.snapshot());
        this.#picks.rowsChanged(baseDigest, node.id);
        this.queue.wake(baseDigest);
      },
    };
  }

  #refusal(why: string): Fault {
    this.#deps.onDecision(`none_${why}`);
    if (why === "queue") return new Fault("queue_full", "every node that could serve this has as much waiting as it may");
    return new Fault("no_ready_node", "no node can serve this base now");
  }

  #assumedFor(baseDigest: BaseDigest): AssumedLoad {
    const assumed = this.#assumed.get(baseDigest) ?? new AssumedLoad(baseDigest);
    this.#assumed.set(baseDigest, assumed);
    return assumed;
  }
}
