import { type Clock, EMPTY_SNAPSHOT, type Fault, type Millis, SECOND, type Snapshot, toFault } from "#kernel";
import { ClusterServiceService, type GrpcChannel, WatchSnapshotRequest } from "#proto";
import { applyDiff } from "./snapshot-diff.ts";

/** A router's view of the cluster: the last snapshot that any scheduler sent, however long ago. */
export interface SnapshotWatch {
  readonly snapshot: Snapshot;
  /** Since the scheduler was last heard of; undefined when it never was. It is heard of every second. */
  ageMs(): Millis | undefined;
  /** Why the stream last broke. */
  readonly lastFault: Fault | undefined;
  /** Resolves when the signal has aborted and the watch has ended. Never rejects. */
  readonly done: Promise<void>;
}

const RECONNECT_MS_MIN: Millis = 100;
const RECONNECT_MS_MAX: Millis = 2 * SECOND;

/**
 * Follows the scheduler's snapshot until the signal aborts, connecting again for as long as it takes. `onSnapshot` is
 * told of each new one; a stream that breaks in the middle of a large change changes nothing.
 */
export function watchSnapshot(
  channel: GrpcChannel,
  clock: Clock,
  onSnapshot: (snapshot: Snapshot) => void,
  signal: AbortSignal,
): SnapshotWatch {
  let snapshot = EMPTY_SNAPSHOT;
  let heardAt: Millis | undefined;
  let lastFault: Fault | undefined;
  let reconnectMs = RECONNECT_MS_MIN;

  const follow = async () => {
    let staged = EMPTY_SNAPSHOT;
    let changed = false;
    const method = ClusterServiceService.watchSnapshot;
    for await (const message of channel.serverStream(method, WatchSnapshotRequest.create({}), { signal })) {
      staged = applyDiff(staged, message, clock.monotonic());
      heardAt = clock.monotonic();
      reconnectMs = RECONNECT_MS_MIN;
      changed ||= message.full || message.changed.length > 0 || message.goneNodeIds.length > 0 || message.plan !== undefined;
      if (!changed || message.version === 0) continue; // A heartbeat, or a part with more to follow.
      changed = false;
      snapshot = staged;
      onSnapshot(snapshot);
    }
  };

  const run = async () => {
    while (!signal.aborted) {
      try {
        await follow();
        await clock.after(reconnectMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        lastFault = toFault(error);
        await clock.after(reconnectMs, signal).catch(() => undefined); // Aborted: the loop sees it.
      }
      reconnectMs = Math.min(reconnectMs * 2, RECONNECT_MS_MAX);
    }
  };

  return {
    get snapshot() {
      return snapshot;
    },
    get lastFault() {
      return lastFault;
    },
    ageMs: () => (heardAt === undefined ? undefined : clock.monotonic() - heardAt),
    done: run(),
  };
}
