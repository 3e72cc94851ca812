import { type Clock, every, type Log, type Millis, SECOND, toFault } from "#kernel";

/** How late a change of leadership may be noticed here; what acts asks again at every action. */
const LOOK_EVERY_MS: Millis = SECOND / 2;

/**
 * Runs something for as long as we lead: starts it when `epoch` says that we do, and disposes it when we do not, or
 * when we lead anew. A start that fails is tried again.
 *
 * @param epoch of our own leadership now; undefined while somebody else leads, or nobody
 */
export function runWhileLeading(
  deps: { readonly clock: Clock; readonly log: Log },
  epoch: () => number | undefined,
  start: (leading: () => boolean) => AsyncDisposable,
): AsyncDisposable {
  const stop = new AbortController();
  let running: { readonly epoch: number; readonly part: AsyncDisposable } | undefined;
  const look = async () => {
    const now = epoch();
    if (running && running.epoch !== now) {
      const { part } = running;
      running = undefined;
      await part[Symbol.asyncDispose]();
    }
    if (running || now === undefined || stop.signal.aborted) return;
    try {
      running = { epoch: now, part: start(() => epoch() === now) };
    } catch (error) {
      deps.log.error({ err: toFault(error) }, "what runs on the leader could not be started; it is tried again");
    }
  };
  const looking = every(deps.clock, LOOK_EVERY_MS, stop.signal, look);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looking;
      await running?.part[Symbol.asyncDispose]();
      running = undefined;
    },
  };
}
