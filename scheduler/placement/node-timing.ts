import type { BaseTiming, Millis, Tier } from "#kernel";

/** What a node's speed is taken to be until any node has measured some of it: a base of 124 M parameters on two cores (bench/results/engine-*.md). */
const TYPICAL = { stepMs: 20, rowMs: 1.8, promptTokenMs: 0.7, meanRowMs: 2000, slotLoadMs: 2, ramLoadMs: 15, diskLoadMs: 50 };
const NOTHING_WAITS = { promptTokensWaiting: 0, starvedLoads: 0, tokensPerSecondMax: 0 } as const;

type Speed = keyof typeof TYPICAL;
const SPEEDS = Object.keys(TYPICAL) as readonly Speed[];

/**
 * What the nodes of one base have measured of themselves. A node that has not measured itself is like the mean of those that have: were it taken to be
 * slower than they are, nobody would ask it, and it would never measure anything.
 */
export class TimingMeans {
  readonly #sums = { ...TYPICAL };
  readonly #counts = new Map<Speed, number>(SPEEDS.map((speed) => [speed, 0]));

  constructor() {
    for (const speed of SPEEDS) this.#sums[speed] = 0;
  }

  add(timing: BaseTiming | undefined): void {
    this.#count(timing, 1);
  }

  remove(timing: BaseTiming | undefined): void {
    this.#count(timing, -1);
  }

  /** A node's timing with what it has not measured filled in. */
  complete(timing: BaseTiming | undefined, slotsInUse: number): BaseTiming {
    const complete = { ...NOTHING_WAITS, ...TYPICAL, ...timing, slotsInUse };
    for (const speed of SPEEDS) if (!isMeasured(timing, speed)) complete[speed] = this.#mean(speed);
    return complete;
  }

  #mean(speed: Speed): Millis {
    const count = this.#counts.get(speed)!;
    return count === 0 ? TYPICAL[speed] : this.#sums[speed] / count;
  }

  #count(timing: BaseTiming | undefined, sign: 1 | -1): void {
    if (!timing) return;
    for (const speed of SPEEDS) {
      if (!isMeasured(timing, speed)) continue;
      const count = this.#counts.get(speed)! + sign;
      this.#counts.set(speed, count);
      this.#sums[speed] = count === 0 ? 0 : this.#sums[speed] + sign * timing[speed];
    }
  }
}

/** Whether a node has measured all that it is asked for. */
export function isComplete(timing: BaseTiming | undefined): timing is BaseTiming {
  return SPEEDS.every((speed) => isMeasured(timing, speed));
}

/** Of a step all parts are measured at once, and one that costs nothing is one that costs nothing. */
function isMeasured(timing: BaseTiming | undefined, speed: Speed): boolean {
  if (!timing) return false;
  return speed === "stepMs" || speed === "rowMs" || speed === "promptTokenMs" || timing[speed] > 0;
}

/** Until a delta is in its slot, from where it stands; undefined for nowhere on the node. */
export function loadMs({ slotLoadMs, ramLoadMs, diskLoadMs }: BaseTiming, from: Tier | undefined): Millis {
  if (from === "slot") return 0;
  if (from === "ram") return slotLoadMs;
  return slotLoadMs + ramLoadMs + (from === "disk" ? 0 : diskLoadMs);
}
