import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type ApiFailure, failureFrom } from "../../api/index.ts";
import { type Checkpoint, eventsAfter, getJob, isOver, type Job, type JobEvent, listCheckpoints } from "./job.ts";

/** A job and all that was told of it so far, oldest first. */
export interface FollowedJob {
  readonly job: Job | undefined;
  readonly events: readonly JobEvent[];
  readonly checkpoints: readonly Checkpoint[];
  readonly failure: ApiFailure | undefined;
}

/** A trainer reports twice a second. */
const EACH_MS = 700;
const AFTER_FAILURE_MS = 4_000;
const NOTHING: FollowedJob = { job: undefined, events: [], checkpoints: [], failure: undefined };

/** Follows a job until it is over, or nobody looks any more. `again` looks at once: something was asked of it. */
export function useFollowedJob(id: string): { readonly state: ReadonlySignal<FollowedJob>; again(): void } {
  const followed = useMemo(() => followedJob(id), [id]);
  useEffect(() => {
    followed.again();
    return () => followed.stop();
  }, [followed]);
  return followed;
}

function followedJob(id: string) {
  const state = signal(NOTHING);
  let following = new AbortController();
  const look = async (signal: AbortSignal): Promise<boolean> => {
    const { events: known } = state.value;
    const job = await getJob(id, signal); // First: what is told of its end is then among the events.
    const [fresh, checkpoints] = await Promise.all([eventsAfter(id, known.at(-1)?.id, signal), listCheckpoints(id, signal)]);
    if (!signal.aborted) state.value = { job, events: fresh.length === 0 ? known : [...known, ...fresh], checkpoints, failure: undefined };
    return isOver(job);
  };
  const follow = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      try {
        if (await look(signal)) return;
        await pause(document.hidden ? AFTER_FAILURE_MS : EACH_MS, signal);
      } catch (error) {
        const failure = failureFrom(error);
        if (signal.aborted) return;
        state.value = { ...state.value, failure };
        if (failure?.status === 404 || failure?.status === 401) return;
        await pause(AFTER_FAILURE_MS, signal);
      }
    }
  };
  return {
    state,
    again() {
      following.abort();
      following = new AbortController();
      void follow(following.signal);
    },
    stop: () => following.abort(),
  };
}

/** Ends early when nobody waits any more. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
