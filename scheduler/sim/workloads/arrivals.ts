import { type Millis, SECOND } from "#kernel";
import { exponential, type FastRandom, gamma } from "../fast-random.ts";

export interface ArrivalOptions {
  readonly perSecond: number;
  readonly durationMs: Millis;
}

/** An arrival of a flash crowd all asks for one and the same delta. */
export interface Arrival {
  readonly atMs: Millis;
  readonly crowd: boolean;
}

/** When requests come, in order; the mean rate over the duration is about `perSecond`. */
export type Arrivals = (options: ArrivalOptions, random: FastRandom) => readonly Arrival[];

/** Independent gaps of the given law. */
function renewal(gapMs: (random: FastRandom, meanMs: Millis) => Millis): Arrivals {
  return ({ perSecond, durationMs }, random) => {
    const arrivals: Arrival[] = [];
    const meanMs = SECOND / perSecond;
    for (let atMs = gapMs(random, meanMs); atMs < durationMs; atMs += gapMs(random, meanMs)) arrivals.push({ atMs, crowd: false });
    return arrivals;
  };
}

/** A Poisson process whose rate, relative to its mean, changes with time (thinning, Lewis and Shedler 1979). */
function thinned(relativeRateMax: number, relativeRate: (share: number) => { readonly all: number; readonly crowd: number }): Arrivals {
  return ({ perSecond, durationMs }, random) => {
    const arrivals: Arrival[] = [];
    const meanMs = SECOND / perSecond / relativeRateMax;
    for (let atMs = exponential(random, meanMs); atMs < durationMs; atMs += exponential(random, meanMs)) {
      const { all, crowd } = relativeRate(atMs / durationMs);
      const drawn = random.float() * relativeRateMax;
      if (drawn < all) arrivals.push({ atMs, crowd: drawn < crowd });
    }
    return arrivals;
  };
}

/** Gaps with this coefficient of variation: S-LoRA's generator goes up to 8. */
const GAMMA_CV = 4;
/** Two days in a run; by night a sixth of the mean. */
const DAYS = 2;
const DAY_SWING = 5 / 6;
/** At these moments five times the mean comes at once and halves every twenty-fifth of the run (Dynamo's simulator: x5, twice, half-life 8 of 200 ticks). */
const CROWDS_AT = [0.3, 0.65];
const CROWD_RATE = 4;
const CROWD_HALF_LIFE = 0.04;
/** What the crowds bring beside the mean; the rest of the rate is lowered by it. */
const CROWD_SHARE = (CROWDS_AT.length * CROWD_RATE * CROWD_HALF_LIFE) / Math.LN2;
/** Dynamo's simulator: rates of three states, and the chance of each next state, by second. Their long-run mean is about 40. */
const MMPP_RATES = [15, 40, 70] as const;
const MMPP_NEXT = [
  [0.9, 0.1, 0],
  [0.15, 0.8, 0.05],
  [0.1, 0.2, 0.7],
] as const;

/** Markov-modulated: a Poisson process with three rates that follow one another by chance. */
const mmpp: Arrivals = ({ perSecond, durationMs }, random) => {
  const seconds = Math.ceil(durationMs / SECOND);
  const states: number[] = [];
  for (let second = 0, state = 1; second < seconds; second++) {
    const drawn = random.float();
    const next = MMPP_NEXT[state]!;
    state = drawn < next[0] ? 0 : drawn < next[0] + next[1] ? 1 : 2;
    states.push(state);
  }
  const mean = states.reduce((sum, state) => sum + MMPP_RATES[state]!, 0) / seconds;
  const at = (share: number) => ({ all: MMPP_RATES[states[Math.floor((share * durationMs) / SECOND)]!]! / mean, crowd: 0 });
  return thinned(MMPP_RATES[2] / mean, at)({ perSecond, durationMs }, random);
};

export const ARRIVALS = {
  poisson: renewal(exponential),
  gamma: renewal((random, meanMs) => gamma(random, 1 / GAMMA_CV ** 2, meanMs)),
  diurnal: thinned(1 + DAY_SWING, (share) => ({ all: 1 - DAY_SWING * Math.cos(2 * Math.PI * DAYS * share), crowd: 0 })),
  "flash-crowd": thinned(1 + CROWD_RATE, (share) => {
    const crowd = CROWDS_AT.reduce((sum, at) => sum + (share < at ? 0 : CROWD_RATE * 2 ** ((at - share) / CROWD_HALF_LIFE)), 0);
    const rest = 1 - CROWD_SHARE;
    return { all: Math.min(1 + CROWD_RATE, rest + crowd), crowd };
  }),
  mmpp,
} satisfies Readonly<Record<string, Arrivals>>;
export type ArrivalsName = keyof typeof ARRIVALS;
