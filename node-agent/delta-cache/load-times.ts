import type { Millis, Tier } from "#kernel";
import type { TierEvent } from "./contract.ts";

/** The mean follows the last so many loads. */
const LOADS_MEANT = 16;

/** How long each tier's own part of a load takes, without the tiers below it and without waiting for room. */
export class LoadTimes {
  readonly #meanMs = new Map<Tier, Millis>();

  observe(event: TierEvent): void {
    if (event.kind !== "ready" || event.ownMs === undefined) return;
    const known = this.#meanMs.get(event.tier);
    this.#meanMs.set(event.tier, known === undefined ? event.ownMs : known + (event.ownMs - known) / LOADS_MEANT);
  }

  /** 0 before the first load. */
  meanMs(tier: Tier): Millis {
    return this.#meanMs.get(tier) ?? 0;
  }
}
