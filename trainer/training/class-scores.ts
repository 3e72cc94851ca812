/** How well classes were told apart; shares from 0 to 1. */
export interface ClassScores {
  readonly accuracy: number;
  /** Of each class, weighted by how often it should have been chosen. */
  readonly weightedF1: number;
  /** Of the positive class, where one was named and the question has an answer: something was chosen, something should have been. */
  readonly precision: number | undefined;
  readonly recall: number | undefined;
}

/** `truths` and `chosen` are class numbers of the same cases. The definitions are those of scikit-learn. */
export function classScores(
  truths: readonly number[],
  chosen: readonly number[],
  classCount: number,
  positive: number | undefined,
): ClassScores {
  const hits = new Array<number>(classCount).fill(0);
  const expected = new Array<number>(classCount).fill(0);
  const given = new Array<number>(classCount).fill(0);
  for (const [index, truth] of truths.entries()) {
    const choice = chosen[index]!;
    expected[truth]!++;
    given[choice]!++;
    if (choice === truth) hits[truth]!++;
  }
  const weightedF1 = hits.reduce((sum, hit, index) => {
    const f1 = hit === 0 ? 0 : (2 * hit) / (expected[index]! + given[index]!);
    return sum + (f1 * expected[index]!) / truths.length;
  }, 0);
  const share = (whole: readonly number[]) =>
    positive === undefined || whole[positive] === 0 ? undefined : hits[positive]! / whole[positive]!;
  const accuracy = hits.reduce((sum, hit) => sum + hit, 0) / truths.length;
  return { accuracy, weightedF1, precision: share(given), recall: share(expected) };
}
