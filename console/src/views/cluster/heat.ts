/** One token per second and below is cold; a thousand is as hot as it gets. By its logarithm, as heat differs by factors. */
const DECADES = 3;

/** From 0 to 1, for a colour. */
export function heatOf(tokensPerSecond: number): number {
  if (tokensPerSecond <= 0) return 0;
  return Math.min(1, Math.max(0.1, (Math.log10(tokensPerSecond) + 1) / (DECADES + 1)));
}
