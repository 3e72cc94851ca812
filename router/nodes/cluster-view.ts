import { type Clock, EMPTY_SNAPSHOT, type Millis, SECOND, type Snapshot } from "#kernel";
import { CLUSTER_KEEPALIVE, openChannel } from "#proto";
import { type SnapshotWatch, watchSnapshot } from "#scheduler/service";

/** The cluster as this router last heard of it. Never waits, never fails: old news beats none. */
export interface ClusterView extends AsyncDisposable {
  readonly snapshot: Snapshot;
  /** Since a scheduler was last heard of; undefined when none ever was. */
  ageMs(): Millis | undefined;
}

/** A scheduler is heard of every second: after this silence another one is believed, if it is heard of. */
const SILENCE_MS_MAX: Millis = 3 * SECOND;

/** Follows every scheduler, and believes one of them for as long as it speaks: two of them stamp reports differently. */
export function startClusterView(
  deps: { readonly clock: Clock; readonly onSnapshot: (snapshot: Snapshot) => void },
  options: { readonly schedulers: readonly string[]; readonly clusterKey: string; readonly silenceMsMax?: Millis },
): ClusterView {
  const silenceMsMax = options.silenceMsMax ?? SILENCE_MS_MAX;
  const stop = new AbortController();
  const channels = options.schedulers.map((address) =>
    openChannel({ address, credential: options.clusterKey, clock: deps.clock, ...CLUSTER_KEEPALIVE }),
  );
  let believed: SnapshotWatch | undefined;
  const current = (): SnapshotWatch | undefined => {
    if (!believed || silenceMs(believed) > silenceMsMax) {
      believed = watches.reduce<SnapshotWatch | undefined>(
        (best, watch) => (!best || silenceMs(watch) < silenceMs(best) ? watch : best),
        believed,
      );
    }
    return believed;
  };
  const told = () => deps.onSnapshot(current()?.snapshot ?? EMPTY_SNAPSHOT);
  const watches: readonly SnapshotWatch[] = channels.map((channel) => watchSnapshot(channel, deps.clock, told, stop.signal));
  return {
    get snapshot() {
      return current()?.snapshot ?? EMPTY_SNAPSHOT;
    },
    ageMs: () => current()?.ageMs(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(watches.map((watch) => watch.done));
      await Promise.all(channels.map((channel) => channel[Symbol.asyncDispose]()));
    },
  };
}

function silenceMs(watch: SnapshotWatch): Millis {
  return watch.ageMs() ?? Number.POSITIVE_INFINITY;
}
