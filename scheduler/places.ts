import type { NodeView, Residency, Tier } from "#kernel";
import type { Ask, Reason } from "./contract.ts";
import { relativeLoad } from "./load.ts";
import { rendezvousOrder } from "./rendezvous.ts";

/**
 * Where a delta may go. Every load of a delta costs a place in a cache, so one that is cold must not be scattered: it
 * has a stable home by rendezvous hashing, and spills from a loaded home to the next in that order, never farther than
 * {@link HOME_CANDIDATES_MAX}. One that is already somewhere may also go there.
 */

/** The home and where it may spill to. With two, a delta that is hot beyond one node's rows still has a place; three leave room for one lost. */
const HOME_CANDIDATES_MAX = 3;

/** A candidate above this load would let the request wait, while a cold load elsewhere takes milliseconds: spill. */
const SPILL_LOAD = 1;

/** A node that an ask may go to, and why. */
export interface Place {
  readonly node: NodeView;
  readonly residency: Tier | undefined;
  readonly reason: Reason;
}

/** The places for an ask among nodes that fit: all of them for a plain base; for a delta those that hold it, and its home or where that spills to. */
export function placesFor(ask: Ask, fit: readonly NodeView[]): readonly Place[] {
  const { deltaDigest } = ask;
  if (deltaDigest === undefined) return fit.map((node) => ({ node, residency: undefined, reason: "base" }));
  const holders = fit.flatMap((node): readonly Place[] => {
    const tier = usableTier(node.deltas.get(deltaDigest));
    return tier ? [{ node, residency: tier, reason: tier }] : [];
  });
  const [home, ...next] = rendezvousOrder(deltaDigest, fit, HOME_CANDIDATES_MAX);
  if (!home) return holders;
  const candidates = [home, ...next];
  const chosen = candidates.find((node) => relativeLoad(node, ask) < SPILL_LOAD) ?? leastLoaded(candidates, ask);
  if (holders.some(({ node }) => node === chosen)) return holders;
  return [...holders, { node: chosen, residency: undefined, reason: chosen === home ? "home" : "spill" }];
}

/**
 * The tier a request will find the delta on. A delta on its way up is as good as one in RAM (the request joins the one
 * load); one on its way out is already a tier down.
 */
export function usableTier(residency: Residency | undefined): Tier | undefined {
  if (!residency) return undefined;
  if (residency.state === "ready") return residency.tier;
  if (residency.state === "loading") return residency.tier === "slot" ? "ram" : residency.tier;
  return ({ slot: "ram", ram: "disk", disk: undefined } as const)[residency.tier];
}

function leastLoaded(nodes: readonly NodeView[], ask: Ask): NodeView {
  return nodes.reduce((best, node) => (relativeLoad(node, ask) < relativeLoad(best, ask) ? node : best));
}
