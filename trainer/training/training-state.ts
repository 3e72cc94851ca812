import type { Tokens } from "#kernel";
import type { Learned } from "./adamw.ts";

/** Where a training stands: with the plan, all that is needed to go on. */
export interface TrainingState {
  /** Steps done. */
  step: number;
  /** Of all examples of those steps, learned or not: what is charged. */
  trainedTokens: Tokens;
  readonly learned: ReadonlyMap<string, Learned>;
  /** What did best on the held-out examples. */
  best: BestState | undefined;
  /** Validations in a row that were no better than the best. */
  validationsSinceBest: number;
}

export interface BestState {
  readonly step: number;
  /** On the held-out examples. */
  readonly loss: number;
  /** Kept where the plan has patience. */
  readonly values: ReadonlyMap<string, Float32Array<ArrayBuffer>> | undefined;
}

/** A fresh state over initial values, which it takes over. */
export function initialState(values: ReadonlyMap<string, Float32Array<ArrayBuffer>>): TrainingState {
  const learned = [...values].map(
    ([name, own]) => [name, { values: own, mean: new Float32Array(own.length), variance: new Float32Array(own.length) }] as const,
  );
  return { step: 0, trainedTokens: 0, learned: new Map(learned), best: undefined, validationsSinceBest: 0 };
}

/** The parameters as they are now, not copied. */
export function currentValues({ learned }: TrainingState): ReadonlyMap<string, Float32Array<ArrayBuffer>> {
  return new Map([...learned].map(([name, { values }]) => [name, values]));
}

/** What the training has come to: the best parameters where they were kept, else the last. */
export function resultValues(state: TrainingState): ReadonlyMap<string, Float32Array<ArrayBuffer>> {
  return state.best?.values ?? currentValues(state);
}
