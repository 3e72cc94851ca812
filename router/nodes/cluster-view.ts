import {
  type Addresses,
  type Clock,
  EMPTY_SNAPSHOT,
  Fault,
  followPeers,
  isFault,
  MINUTE,
  type Millis,
  type NodeId,
  SECOND,
  type Snapshot,
} from "#kernel";
import { type ClusterCredentials, ClusterServiceService, openClusterChannel } from "#proto";
import { type SnapshotWatch, watchSnapshot } from "#scheduler/service";

/** The cluster as this router last heard of it. Never waits, never fails: old news beats none. */
export interface ClusterView extends AsyncDisposable {
  readonly snapshot: Snapshot;
  /** Since a scheduler was last heard of; undefined when none ever was. */
  ageMs(): Millis | undefined;
  /**
   * Has the leading scheduler take a node out of service: its hot deltas are copied first. Resolves when its running work is done.
   * @throws Fault node_lost or lease_lost when no scheduler does; what the one that leads says
   */
  drain(nodeId: NodeId, signal: AbortSignal): Promise<void>;
}

/** A scheduler is heard of every second: after this silence another one is believed, if it is heard of. */
const SILENCE_MS_MAX: Millis = 3 * SECOND;

/** Copies take seconds, running work as long as its longest text. */
const DRAIN_MS_MAX: Millis = 10 * MINUTE;

/**
 * Follows every scheduler, and believes one of them for as long as it speaks: two of them stamp reports differently. One that leads,
 * with a higher epoch than whoever is believed, is believed at once: it alone says where deltas are wanted.
 */
export function startClusterView(
  deps: { readonly clock: Clock; readonly onSnapshot: (snapshot: Snapshot) => void },
  options: ClusterCredentials & { readonly schedulers: Addresses; readonly silenceMsMax?: Millis },
): ClusterView {
  const silenceMsMax = options.silenceMsMax ?? SILENCE_MS_MAX;
  let believed: SnapshotWatch | undefined;
  const current = (): SnapshotWatch | undefined => {
    const watches = Array.from(schedulers, ({ watch }) => watch);
    const leader = watches.find((watch) => silenceMs(watch) <= silenceMsMax && epochOf(watch) > epochOf(believed));
    if (leader) believed = leader;
    else if (!believed || silenceMs(believed) > silenceMsMax) {
      believed = watches.reduce<SnapshotWatch | undefined>(
        (best, watch) => (!best || silenceMs(watch) < silenceMs(best) ? watch : best),
        believed,
      );
    }
    return believed;
  };
  const told = () => deps.onSnapshot(current()?.snapshot ?? EMPTY_SNAPSHOT);
  const schedulers = followPeers(options.schedulers, (address) => {
    const stop = new AbortController();
    const channel = openClusterChannel(deps.clock, options, "scheduler", address);
    const watch = watchSnapshot(channel, deps.clock, told, stop.signal);
    const close = async () => {
      stop.abort();
      await watch.done;
      await channel[Symbol.asyncDispose]();
    };
    return { channel, watch, [Symbol.asyncDispose]: close };
  });
  return {
    get snapshot() {
      return current()?.snapshot ?? EMPTY_SNAPSHOT;
    },
    ageMs: () => current()?.ageMs(),
    async drain(nodeId, signal) {
      let failure: unknown = new Fault("node_lost", "this router knows no scheduler");
      for (const { channel } of schedulers) {
        try {
          await channel.unary(ClusterServiceService.drainNode, { nodeId }, { signal, timeoutMs: DRAIN_MS_MAX });
          return;
        } catch (error) {
          signal.throwIfAborted();
          if (!isFault(error) || !(error.reason === "lease_lost" || error.code === "unavailable")) throw error;
          failure = error;
        }
      }
      throw failure;
    },
    [Symbol.asyncDispose]: () => schedulers[Symbol.asyncDispose](),
  };
}

function epochOf(watch: SnapshotWatch | undefined): number {
  return watch?.snapshot.plan?.leaderEpoch ?? 0;
}

function silenceMs(watch: SnapshotWatch): Millis {
  return watch.ageMs() ?? Number.POSITIVE_INFINITY;
}
