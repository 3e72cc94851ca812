import { type Clock, type Millis, SECOND } from "#kernel";
import type { EngineLoad } from "./engine/index.ts";

/** What a step costs: stepMs + rows · rowMs + prompt tokens · promptTokenMs. */
export interface StepCosts {
  /** The mean over the last seconds, whatever ran; when nothing did for a while, what a step with one row takes. */
  readonly stepMs: Millis;
  readonly rowMs: Millis;
  readonly promptTokenMs: Millis;
  /** With all rows taken, prompts and completions in the proportion of late. */
  readonly tokensPerSecondMax: number;
}

type Counters = Pick<EngineLoad, "steps" | "insideRunMs" | "outsideRunMs" | "promptTokens" | "completionTokens" | "speculation">;
type Vector = readonly [step: number, row: number, promptToken: number];

/** Samples closer together say nothing new; shorter ones are mostly noise. */
const SPACING_MS: Millis = SECOND / 2;
const STEPS_MIN = 4;
/** The present step is the mean over about so many samples: nodes are compared by it, and one sample is mostly chance. */
const SAMPLES_MEANT = 8;
/** Each sample weighs so much less than the next: what was measured a minute ago counts a third. */
const FORGETTING = 0.985;
/** Without steps, what the last ones took beyond the usual counts half after this long: who had a bad moment must be asked again to show that it is over. */
const EXCESS_HALF_LIFE_MS: Millis = 5 * SECOND;
/** What is believed until something is measured: nothing, and that a row is about a tenth of a step and a prompt's token a twentieth. */
const RIDGE: Vector = [0.01, 1, 4];

/** Summed over all steps: whatever else a row brought in a step, it had tried. */
function decodedRows({ completionTokens, speculation }: Counters): number {
  return completionTokens - speculation.acceptedTokens;
}

/**
 * The cost of an engine's steps, from its counters: between two looks the mean step is one linear equation in the mean rows
 * and prompt tokens; exponentially weighted least squares (ridge) over those gives the three constants.
 */
export class StepSpeed {
  readonly #clock: Clock;
  #last: { readonly at: Millis; readonly counters: Counters } | undefined;
  #stepMs: Millis = 0;
  readonly #squares = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  readonly #products = [0, 0, 0];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the counters as they stand now; a new engine's begin again at 0. */
  look(counters: Counters): void {
    const at = this.#clock.monotonic();
    const last = this.#last;
    if (!last || counters.steps < last.counters.steps) {
      this.#last = { at, counters };
      return;
    }
    const steps = counters.steps - last.counters.steps;
    if (at - last.at < SPACING_MS || steps < STEPS_MIN) return;
    this.#last = { at, counters };
    const spent = counters.insideRunMs + counters.outsideRunMs - last.counters.insideRunMs - last.counters.outsideRunMs;
    const meanMs = spent / steps;
    this.#stepMs = this.#stepMs === 0 ? meanMs : this.#stepMs + (meanMs - this.#stepMs) / SAMPLES_MEANT;
    this.#learn(
      [1, (decodedRows(counters) - decodedRows(last.counters)) / steps, (counters.promptTokens - last.counters.promptTokens) / steps],
      meanMs,
    );
  }

  /** Undefined until enough steps have run. */
  costs(rowsMax: number): StepCosts | undefined {
    if (this.#squares[0] === 0) return undefined;
    const [step, row, promptToken] = this.#solve().map((value) => Math.max(0, value)) as unknown as Vector;
    // The sums over the samples, which share one weight: prompt tokens per completion token, of late.
    const prompts = this.#squares[1] === 0 ? 0 : this.#squares[2]! / this.#squares[1]!;
    const completionMs = step / Math.max(1, rowsMax) + row + prompts * promptToken;
    const tokensPerSecondMax = completionMs > 0 ? ((1 + prompts) * SECOND) / completionMs : 0;
    const usualMs = step + row;
    const idleMs = Math.max(0, this.#clock.monotonic() - this.#last!.at - SPACING_MS);
    const stepMs = usualMs + (this.#stepMs - usualMs) * 2 ** (-idleMs / EXCESS_HALF_LIFE_MS);
    return { stepMs, rowMs: row, promptTokenMs: promptToken, tokensPerSecondMax };
  }

  #learn(sample: Vector, ms: Millis): void {
    for (let i = 0; i < 3; i++) {
      this.#products[i] = FORGETTING * this.#products[i]! + sample[i]! * ms;
      for (let j = 0; j < 3; j++) this.#squares[3 * i + j] = FORGETTING * this.#squares[3 * i + j]! + sample[i]! * sample[j]!;
    }
  }

  /** Gaussian elimination; the ridge keeps every pivot above zero. */
  #solve(): readonly number[] {
    const rows = [0, 1, 2].map((i) => [...[0, 1, 2].map((j) => this.#squares[3 * i + j]! + (i === j ? RIDGE[i]! : 0)), this.#products[i]!]);
    for (let pivot = 0; pivot < 3; pivot++) {
      for (let other = 0; other < 3; other++) {
        if (other === pivot) continue;
        const factor = rows[other]![pivot]! / rows[pivot]![pivot]!;
        for (let column = pivot; column < 4; column++) rows[other]![column]! -= factor * rows[pivot]![column]!;
      }
    }
    return rows.map((row, index) => row[3]! / row[index]!);
  }
}
