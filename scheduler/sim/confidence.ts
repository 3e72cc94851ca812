/** A mean over seeds, and how far the true one may be from it. */
export interface Interval {
  readonly mean: number;
  /** Half of the 95 % confidence interval (Student's t); 0 for a single value, which tells nothing. */
  readonly halfWidth: number;
}

/** Student's t, 97.5 %, by degrees of freedom from 1. */
const T = [
  12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093,
];
const T_OF_MANY = 1.96;

export function confidence(values: readonly number[]): Interval {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, halfWidth: 0 };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, halfWidth: (T[values.length - 2] ?? T_OF_MANY) * Math.sqrt(variance / values.length) };
}
