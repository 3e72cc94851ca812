import { expect, test } from "vitest";
import { classScores } from "./class-scores.ts";

test("shares are those that scikit-learn gives for the same cases", () => {
  // sklearn.metrics on y_true = [0,0,0,1,1,2], y_pred = [0,0,1,1,2,2]
  const scores = classScores([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2], 3, 1);
  expect(scores.accuracy).toBeCloseTo(4 / 6, 12);
  expect(scores.weightedF1).toBeCloseTo((3 * 0.8 + 2 * 0.5 + 1 * (2 / 3)) / 6, 12);
  expect(scores.precision).toBe(0.5);
  expect(scores.recall).toBe(0.5);
});

test("a share of nothing is not there", () => {
  expect(classScores([0, 1], [0, 1], 3, 2)).toEqual({ accuracy: 1, weightedF1: 1, precision: undefined, recall: undefined });
  expect(classScores([0, 1], [0, 1], 2, undefined)).toMatchObject({ precision: undefined, recall: undefined });
});
