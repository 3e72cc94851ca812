import type { Clock, Handover, Millis, NodeId, NodeView } from "#kernel";
import { usableTier } from "#scheduler";
import type { BasePlacement } from "./base-placement.ts";

/** One delta's way off a leaving node. */
export interface HandoverCopy {
  readonly base: BasePlacement;
  readonly delta: number;
  /** By the base's numbers. */
  readonly to: number;
  readonly from: number;
}

interface Leaving {
  readonly copies: readonly HandoverCopy[];
  readonly until: Millis;
}

/** A node that is taken out of service by an operator waits so long for its copies; what is not copied by then is loaded again by who asks. */
const HANDOVER_MS_MAX: Millis = 20_000;

/** Nodes that leave, and what of theirs other nodes should have first. */
export class Handovers {
  readonly #clock: Clock;
  readonly #leaving = new Map<NodeId, Leaving>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(id: NodeId): boolean {
    return this.#leaving.has(id);
  }

  ids(): Iterable<NodeId> {
    return this.#leaving.keys();
  }

  /** Begins, or goes on with what was begun. */
  begin(node: NodeView, bases: Iterable<BasePlacement>): void {
    if (this.#leaving.has(node.id)) return;
    const now = this.#clock.monotonic();
    const copies = [...bases].flatMap((base) => {
      const number = base.index.nodeNumber(node.id);
      return number === undefined ? [] : base.handover(number, now).map((copy) => ({ base, from: number, ...copy }));
    });
    this.#leaving.set(node.id, { copies, until: now + HANDOVER_MS_MAX });
  }

  end(id: NodeId): void {
    this.#leaving.delete(id);
  }

  /** Of all leaving nodes, what is still to be copied, the hottest first. */
  missing(): readonly HandoverCopy[] {
    return [...this.#leaving.values()].flatMap(({ copies }) => copies.filter((copy) => !isCopied(copy)));
  }

  /** Whether nothing is missing, or has been for so long that the node goes without. */
  ready(id: NodeId): boolean {
    const leaving = this.#leaving.get(id);
    return !leaving || leaving.copies.every(isCopied) || this.#clock.monotonic() >= leaving.until;
  }

  progress(): ReadonlyMap<NodeId, Handover> {
    return new Map(
      [...this.#leaving].map(([id, { copies }]) => [id, { copiesWanted: copies.length, copiesDone: copies.filter(isCopied).length }]),
    );
  }
}

/** Also when the place is gone itself: nobody can copy there any more. */
function isCopied({ base, delta, to }: HandoverCopy): boolean {
  if (!base.index.alive(to)) return true;
  const residency = base.index.residency(to, delta);
  const tier = usableTier(residency);
  return residency?.state === "ready" && (tier === "slot" || tier === "ram");
}
