/** Keeps `streams` calls in progress until `until` aborts, and resolves with all results when the last has ended. */
export async function runClosedLoop<T>(streams: number, until: AbortSignal, send: (stream: number) => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  const worker = async (stream: number) => {
    while (!until.aborted) results.push(await send(stream));
  };
  await Promise.all(Array.from({ length: streams }, (_, stream) => worker(stream)));
  return results;
}
