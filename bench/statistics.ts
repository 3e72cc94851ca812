/** The middle value; the mean of the two middle ones when there is none. NaN of nothing, which no report accepts. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linear between the closest ranks (the definition of NumPy and R-7). `share` in 0..1. NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)];
  const high = sorted[Math.ceil(position)];
  if (low === undefined || high === undefined) return Number.NaN;
  return low + (high - low) * (position - Math.floor(position));
}
