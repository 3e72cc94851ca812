import type { BaseTiming, Millis, Tier } from "#kernel";

/** What a node's speed is taken to be until it has measured some of it: a base of 124 M parameters on two cores (bench/results/engine-*.md). */
const TYPICAL = { stepMs: 20, rowMs: 1.8, promptTokenMs: 0.7, meanRowMs: 2000, slotLoadMs: 2, ramLoadMs: 15, diskLoadMs: 50 } as const;
const NOTHING_WAITS = { promptTokensWaiting: 0, starvedLoads: 0, tokensPerSecondMax: 0 } as const;

/** A node's timing, complete: what it has not measured is typical. */
export function completeTiming(timing: BaseTiming | undefined, slotsInUse: number): BaseTiming {
  if (!timing) return { ...TYPICAL, ...NOTHING_WAITS, slotsInUse };
  const { meanRowMs, slotLoadMs, ramLoadMs, diskLoadMs } = timing;
  return {
    ...timing,
    meanRowMs: meanRowMs || TYPICAL.meanRowMs,
    slotLoadMs: slotLoadMs || TYPICAL.slotLoadMs,
    ramLoadMs: ramLoadMs || TYPICAL.ramLoadMs,
    diskLoadMs: diskLoadMs || TYPICAL.diskLoadMs,
  };
}

/** Until a delta is in its slot, from where it stands; undefined for nowhere on the node. */
export function loadMs({ slotLoadMs, ramLoadMs, diskLoadMs }: BaseTiming, from: Tier | undefined): Millis {
  if (from === "slot") return 0;
  if (from === "ram") return slotLoadMs;
  return slotLoadMs + ramLoadMs + (from === "disk" ? 0 : diskLoadMs);
}
