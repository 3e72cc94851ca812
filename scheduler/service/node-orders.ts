import {
  type Clock,
  type DeltaDigest,
  type Log,
  MINUTE,
  type Millis,
  type NodeId,
  type NodeView,
  SECOND,
  type Tier,
  toFault,
} from "#kernel";
import {
  AttachRequest,
  type ClusterCredentials,
  type DeltaReference,
  DetachRequest,
  DrainRequest,
  type GrpcChannel,
  NodeServiceService,
  openClusterChannel,
  tierToMessage,
} from "#proto";

/** What a load is ordered for. */
export type OrderReason = "copy" | "handover";

export interface LoadOrder {
  readonly node: NodeView;
  readonly delta: DeltaReference;
  readonly tier: Tier;
  readonly reason: OrderReason;
  /** Nodes that have it, `host:port`. */
  readonly sources: readonly string[];
  /** Whether nobody has it, so that it comes from the store. */
  readonly fromStore: boolean;
}

export interface NodeOrdersDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Of this leader, or undefined when it leads no longer: then nothing is sent. */
  readonly epoch: () => number | undefined;
  /** Told of every order, in one word for what became of it. */
  readonly onOrder: (kind: "load" | "unload" | "drain", result: "done" | "failed") => void;
}

/** A load from the store takes a node at most a minute. */
const LOAD_MS_MAX: Millis = 90 * SECOND;
const UNLOAD_MS_MAX: Millis = 5 * SECOND;
const DRAIN_MS_MAX: Millis = 10 * MINUTE;
/** Orders under way to one node: more would only wait there for its links. */
const PER_NODE_MAX = 8;
/** What failed is not ordered again before: a node reads the same files, a store stays away a while. */
const RETRY_MS: Millis = 5 * SECOND;

/**
 * The leader's orders to nodes. Idempotent, and none waits for another; the same order is under way once, and one delta comes from
 * the store to one node at a time: the others get it from there.
 */
export class NodeOrders implements AsyncDisposable {
  readonly #deps: NodeOrdersDeps;
  readonly #credentials: ClusterCredentials;
  readonly #channels = new Map<NodeId, { readonly address: string; readonly channel: GrpcChannel }>();
  /** Orders under way, and until when those that failed are left alone. */
  readonly #leftAlone = new Map<string, Millis>();
  readonly #perNode = new Map<NodeId, number>();
  readonly #fromStore = new Set<string>();
  readonly #stop = new AbortController();

  constructor(deps: NodeOrdersDeps, credentials: ClusterCredentials) {
    this.#deps = deps;
    this.#credentials = credentials;
  }

  load({ node, delta, tier, reason, sources, fromStore }: LoadOrder): void {
    if (fromStore && this.#fromStore.has(delta.digest)) return; // The next round finds it there.
    this.#undertake(node, "load", delta.digest, async (leaderEpoch) => {
      if (fromStore) this.#fromStore.add(delta.digest);
      const order = AttachRequest.create({
        delta,
        tier: tierToMessage(tier),
        reason,
        leaderEpoch,
        keepPin: true,
        deltaSources: [...sources],
      });
      try {
        await this.#to(node).unary(NodeServiceService.attach, order, { signal: this.#stop.signal, timeoutMs: LOAD_MS_MAX });
      } finally {
        if (fromStore) this.#fromStore.delete(delta.digest);
      }
    });
  }

  unload(node: NodeView, delta: DeltaReference): void {
    this.#undertake(node, "unload", delta.digest, async (leaderEpoch) => {
      const order = DetachRequest.create({ delta, keepOnDisk: true, leaderEpoch });
      await this.#to(node).unary(NodeServiceService.detach, order, { signal: this.#stop.signal, timeoutMs: UNLOAD_MS_MAX });
    });
  }

  /** Resolves when the node's running work is done. @throws what the node says */
  async drain(node: NodeView, leaderEpoch: number, signal: AbortSignal): Promise<void> {
    const call = { signal: AbortSignal.any([signal, this.#stop.signal]), timeoutMs: DRAIN_MS_MAX };
    await this.#to(node).unary(NodeServiceService.drain, DrainRequest.create({ leaderEpoch }), call);
    this.#deps.onOrder("drain", "done");
  }

  /** Lets go of nodes that are gone, and of failures that are old. */
  keepOnly(nodes: ReadonlyMap<NodeId, NodeView>): void {
    const now = this.#deps.clock.monotonic();
    for (const [order, until] of this.#leftAlone) if (until <= now) this.#leftAlone.delete(order);
    for (const [id, { address, channel }] of this.#channels) {
      if (nodes.get(id)?.address === address) continue;
      this.#channels.delete(id);
      void channel[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#channels.values()].map(({ channel }) => channel[Symbol.asyncDispose]()));
  }

  #undertake(node: NodeView, kind: "load" | "unload", digest: DeltaDigest | string, send: (epoch: number) => Promise<void>): void {
    const { clock, log, epoch, onOrder } = this.#deps;
    const leaderEpoch = epoch();
    const order = `${kind} ${node.id} ${digest}`;
    const running = this.#perNode.get(node.id) ?? 0;
    if (leaderEpoch === undefined || running >= PER_NODE_MAX || (this.#leftAlone.get(order) ?? 0) > clock.monotonic()) return;
    this.#leftAlone.set(order, Number.POSITIVE_INFINITY);
    this.#perNode.set(node.id, running + 1);
    send(leaderEpoch)
      .then(
        () => {
          this.#leftAlone.set(order, clock.monotonic() + REPORT_MS);
          onOrder(kind, "done");
        },
        (error: unknown) => {
          this.#leftAlone.set(order, clock.monotonic() + RETRY_MS);
          onOrder(kind, "failed");
          const { reason, message } = toFault(error);
          // A node that leaves or is gone is told of elsewhere.
          if (!this.#stop.signal.aborted && reason !== "node_draining" && reason !== "node_lost")
            log.warn({ kind, nodeId: node.id, digest, reason, message }, "a node could not follow an order");
        },
      )
      .finally(() => this.#perNode.set(node.id, this.#perNode.get(node.id)! - 1));
  }

  #to({ id, address }: NodeView): GrpcChannel {
    const known = this.#channels.get(id);
    if (known?.address === address) return known.channel;
    if (known) void known.channel[Symbol.asyncDispose]();
    const channel = openClusterChannel(this.#deps.clock, this.#credentials, "node-agent", address);
    this.#channels.set(id, { address, channel });
    return channel;
  }
}

/** What was done shows in the node's next report: until then it is not ordered again. */
const REPORT_MS: Millis = 1.5 * SECOND;
