/** Results in the order of the items. The first failure is thrown when all work under way has ended; no further is begun. */
export async function mapAtMost<T, R>(atOnce: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < items.length && !failed) {
      const index = next++;
      try {
        results[index] = await work(items[index]!);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  for (const each of lanes) if (each.status === "rejected") throw each.reason;
  return results;
}
