/** How many calls go out together: enough to fill the wire, and few enough that each is answered in time. */
const BATCH_MAX = 256;

/** What `work` makes of each item, in order; a batch at a time. */
export async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>, batchMax = BATCH_MAX): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += batchMax) results.push(...(await Promise.all(items.slice(at, at + batchMax).map(work))));
  return results;
}
