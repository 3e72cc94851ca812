/** Where the number of epochs comes from when nobody gives it: the policy that users of hosted fine-tuning know. */
export const AUTO_EPOCHS = { target: 3, examplesMin: 100, examplesMax: 25_000, epochsMin: 1, epochsMax: 25 } as const;

export interface ChosenEpochs {
  readonly epochs: number;
  /** What follows "3 epochs: …". */
  readonly reason: string;
}

/** Three epochs; more when all together would show the model less than 100 examples, fewer when more than 25,000. */
export function chooseEpochs(examples: number): ChosenEpochs {
  const { target, examplesMin, examplesMax, epochsMin, epochsMax } = AUTO_EPOCHS;
  if (examples * target < examplesMin) {
    const epochs = Math.min(epochsMax, Math.floor(examplesMin / examples));
    if (epochs > target) {
      return {
        epochs,
        reason: `there are only ${examples}, so that the model sees ${epochs * examples} in all (about ${examplesMin}, ${epochsMax} times at most)`,
      };
    }
  }
  if (examples * target > examplesMax) {
    const epochs = Math.max(epochsMin, Math.floor(examplesMax / examples));
    return { epochs, reason: `of ${examples} examples, as many as ${examplesMax} need be seen in all, each at least once` };
  }
  return { epochs: target, reason: `that is usual for ${examples} examples` };
}
