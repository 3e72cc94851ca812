import type { Residency, Tier } from "#kernel";

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
