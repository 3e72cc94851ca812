import {
  type BaseDigest,
  type BaseTarget,
  type Clock,
  type DeltaDigest,
  Fault,
  type Millis,
  type NodeId,
  type NodeView,
  type PlacementPlan,
  type Tier,
} from "#kernel";
import { usableTier } from "#scheduler";
import type { BasePlacement, PlacementLimits } from "./base-placement.ts";
import type { ClusterPlacement } from "./cluster-placement.ts";
import { Handovers } from "./handovers.ts";
import type { Leadership } from "./leadership.ts";
import type { NodeOrders, OrderReason } from "./node-orders.ts";

export interface PlacementRoundsDeps {
  readonly clock: Clock;
  readonly placement: ClusterPlacement;
  readonly leadership: Leadership;
  readonly orders: NodeOrders;
  /** Told of each change of placement, in one word. */
  readonly onMove: (kind: "copy" | "give_up" | "move") => void;
}

/** A copy that was given up leaves its node's fast tiers within so long, or stays for the node's own eviction to see to. */
const GIVE_UP_MS_MAX: Millis = 60_000;
/** While a node leaves, this often is looked at what has been copied. */
const HANDOVER_LOOK_MS: Millis = 100;

interface GivenUp {
  readonly base: BasePlacement;
  readonly delta: number;
  readonly node: number;
  readonly until: Millis;
}

/**
 * What the leader does: compares where deltas should be with where they are, again and again, and orders what is missing. Nothing is
 * remembered of orders that were sent: what was lost on the way shows as missing in the next round.
 */
export class PlacementRounds {
  readonly #deps: PlacementRoundsDeps;
  readonly #limits: PlacementLimits;
  readonly #handovers: Handovers;
  #givenUp: GivenUp[] = [];
  /** That an operator takes out of service just now. */
  readonly #drained = new Set<NodeId>();

  constructor(deps: PlacementRoundsDeps, limits: PlacementLimits) {
    this.#deps = deps;
    this.#limits = limits;
    this.#handovers = new Handovers(deps.clock);
  }

  /** One round: the plan as it is then, which only a leader changes. */
  round(nodes: ReadonlyMap<NodeId, NodeView>): PlacementPlan {
    const { leadership, placement, orders } = this.#deps;
    if (leadership.epoch !== undefined) {
      this.#followLeaving(nodes);
      for (const base of placement.bases.values()) this.#move(base);
      this.#order();
      orders.keepOnly(nodes);
    }
    return this.plan();
  }

  plan(): PlacementPlan {
    const { clock, leadership, placement } = this.#deps;
    const leads = leadership.epoch !== undefined;
    const bases = [...placement.bases].map(([digest, base]) => [digest, base.target(clock.monotonic(), this.#limits)] as const);
    const copies = leads ? [...placement.bases.values()].flatMap((base) => base.copies()) : [];
    return {
      ...{ leader: leadership.leader, leaderEpoch: leadership.epoch ?? 0 },
      copies: new Map<DeltaDigest, readonly NodeId[]>(copies),
      bases: new Map<BaseDigest, BaseTarget>(bases),
      handovers: leads ? this.#handovers.progress() : new Map(),
    };
  }

  /**
   * Takes a node out of service: what is hot there and nowhere else is copied, then it takes no new work. Resolves when its running work
   * is done. `refresh`: brings the placement up to the newest reports.
   * @throws Fault lease_lost when this scheduler does not lead (any more); what the node says
   */
  async drain(node: NodeView, refresh: () => void, signal: AbortSignal): Promise<void> {
    const { clock, placement, orders } = this.#deps;
    const epoch = this.#epoch();
    refresh();
    this.#drained.add(node.id);
    this.#handovers.begin(node, placement.bases.values());
    try {
      for (; !this.#handovers.ready(node.id); refresh()) {
        this.#epoch();
        this.#order();
        await clock.after(HANDOVER_LOOK_MS, signal);
      }
      await orders.drain(node, epoch, signal);
    } finally {
      this.#drained.delete(node.id);
      this.#handovers.end(node.id);
    }
  }

  /** @throws Fault lease_lost */
  #epoch(): number {
    const { epoch, leader } = this.#deps.leadership;
    if (epoch === undefined) throw new Fault("lease_lost", `this scheduler does not lead; ${leader ?? "nobody"} does`);
    return epoch;
  }

  /** Nodes that were told to stop by somebody else hand over as well, as long as they are there. */
  #followLeaving(nodes: ReadonlyMap<NodeId, NodeView>): void {
    for (const node of nodes.values()) if (node.state === "draining") this.#handovers.begin(node, this.#deps.placement.bases.values());
    for (const id of this.#handovers.ids()) {
      const state = nodes.get(id)?.state;
      if (state === undefined || (state === "ready" && !this.#drained.has(id))) this.#handovers.end(id);
    }
  }

  #move(base: BasePlacement): void {
    const now = this.#deps.clock.monotonic();
    for (const { delta, from, to } of base.round(this.#leavingOf(base), now, this.#limits)) {
      this.#deps.onMove(from === undefined ? "copy" : to === undefined ? "give_up" : "move");
      if (from !== undefined) this.#givenUp.push({ base, delta, node: from, until: now + GIVE_UP_MS_MAX });
    }
  }

  #order(): void {
    for (const { base, delta, to, from } of this.#handovers.missing()) this.#load(base, delta, to, "ram", "handover", from);
    for (const base of this.#deps.placement.bases.values()) {
      const loads = base.loads(this.#leavingOf(base), this.#deps.clock.monotonic(), this.#limits);
      for (const { delta, node, target } of loads) this.#load(base, delta, node, target, "copy");
    }
    this.#givenUp = this.#givenUp.filter((copy) => this.#unload(copy));
  }

  #load(base: BasePlacement, delta: number, to: number, tier: Tier, reason: OrderReason, from?: number): void {
    const { index } = base;
    const tenantId = base.tenantOf(delta);
    if (tenantId === undefined || !index.alive(to)) return;
    const reference = { digest: index.digestOf(delta), tenantId, baseDigest: index.baseDigest };
    const sources = index.residency(to, delta) ? [] : base.carriers(delta, from);
    const fromStore = !index.residency(to, delta) && sources.length === 0;
    this.#deps.orders.load({ node: index.nodeAt(to), delta: reference, tier, reason, sources, fromStore });
  }

  /** Whether it is still to be seen to: the delta left the place, and is in its slots or its RAM as yet, without anybody's use. */
  #unload({ base, delta, node, until }: GivenUp): boolean {
    const { index } = base;
    const tenantId = base.tenantOf(delta);
    if (!index.alive(node) || tenantId === undefined || this.#deps.clock.monotonic() >= until) return false;
    const residency = index.residency(node, delta);
    const isWanted = index.targets(delta).includes(node) || residency?.pinned === true;
    if (isWanted || (usableTier(residency) ?? "disk") === "disk") return false;
    if (residency!.references > 0 || !base.isFastBeside(node, delta)) return true; // Not before another place has it.
    this.#deps.orders.unload(index.nodeAt(node), { digest: index.digestOf(delta), tenantId, baseDigest: index.baseDigest });
    return true;
  }

  #leavingOf({ index }: BasePlacement): ReadonlySet<number> {
    return new Set([...this.#handovers.ids()].flatMap((id) => index.nodeNumber(id) ?? []));
  }
}
