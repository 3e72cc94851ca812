/**
 * Several sequences as one, each item as it comes; items of one source stay in order. Pulls: at most one item of each
 * source is held, so that a slow reader slows the sources. The first error ends it; ending it ends all sources:
 * `abandon` makes those stop that are in the middle of something.
 */
export function merge<T>(sources: readonly AsyncIterable<T>[], abandon: () => void): AsyncIterable<T> {
  return sources.length === 1 ? sources[0]! : interleave(sources, abandon);
}

async function* interleave<T>(sources: readonly AsyncIterable<T>[], abandon: () => void): AsyncGenerator<T> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const arrived: Arrival<T>[] = [];
  let wake: () => void = () => undefined;
  const pull = (iterator: AsyncIterator<T>) => {
    const arrive = (arrival: Arrival<T>) => {
      arrived.push(arrival);
      wake();
    };
    iterator.next().then(
      (result) => arrive({ iterator, result }),
      (error: unknown) => arrive({ iterator, error }),
    );
  };
  const open = new Set(iterators);
  for (const iterator of iterators) pull(iterator);
  try {
    while (open.size > 0) {
      const next = arrived.shift();
      if (!next) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if (!next.result) {
        open.delete(next.iterator);
        throw next.error;
      }
      if (next.result.done) {
        open.delete(next.iterator);
        continue;
      }
      yield next.result.value;
      pull(next.iterator);
    }
  } finally {
    abandon();
    await Promise.allSettled([...open].map((iterator) => iterator.return?.()));
  }
}

type Arrival<T> = { readonly iterator: AsyncIterator<T> } & (
  | { readonly result: IteratorResult<T>; readonly error?: never }
  | { readonly result?: never; readonly error: unknown }
);
