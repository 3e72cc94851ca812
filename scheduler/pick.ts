import type { Pick, Ranked } from "./contract.ts";

/** Scores this near are equal: what tells them apart is older than the reports they come from. */
const NEAR = 0.02;

/**
 * The best, or, where several are near it, the better of two drawn from those (Mitzenmacher 2001): all routers see the
 * same slightly old snapshot, and would otherwise all send the next second's requests to one node.
 */
export const pickBest: Pick = (ranked, random) => {
  const best = Math.max(...ranked.map(({ total }) => total));
  const near = ranked.filter(({ total }) => total >= best - NEAR);
  const one = near[random.below(near.length)]!;
  const other = near[random.below(near.length)]!;
  return better(one, other);
};

function better(one: Ranked, other: Ranked): Ranked {
  return other.total > one.total ? other : one;
}
