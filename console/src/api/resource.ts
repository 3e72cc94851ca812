import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type ApiFailure, failureFrom } from "./failure.ts";

/** What is known of something that is loaded. After a failed refresh the last value stays, beside the failure. */
export interface Loaded<T> {
  readonly value: T | undefined;
  readonly failure: ApiFailure | undefined;
  readonly loading: boolean;
}

export interface Resource<T> {
  readonly state: ReadonlySignal<Loaded<T>>;
  reload(): void;
}

export interface ResourceOptions {
  /** Loads again so long after each answer, while the page is seen; default: never. */
  readonly everyMs?: number | undefined;
}

/** Loads when the component appears, and again when one of `inputs` changes. What nobody waits for any more is aborted. */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  inputs: readonly unknown[],
  { everyMs }: ResourceOptions = {},
): Resource<T> {
  const live = useMemo(() => liveResource(load, everyMs), [...inputs, everyMs]);
  useEffect(() => live.start(), [live]);
  return live;
}

function liveResource<T>(load: (signal: AbortSignal) => Promise<T>, everyMs: number | undefined): Resource<T> & { start(): () => void } {
  const state = signal<Loaded<T>>({ value: undefined, failure: undefined, loading: true });
  let begun: AbortController | undefined;
  let timer: number | undefined;

  const loadNow = async () => {
    begun?.abort();
    window.clearTimeout(timer);
    const own = new AbortController();
    begun = own;
    state.value = { ...state.value, loading: true };
    try {
      const value = await load(own.signal);
      if (!own.signal.aborted) state.value = { value, failure: undefined, loading: false };
    } catch (error) {
      const failure = failureFrom(error);
      if (!own.signal.aborted) state.value = { ...state.value, failure, loading: false };
    }
    if (!own.signal.aborted && everyMs !== undefined) timer = window.setTimeout(refresh, everyMs);
  };
  const refresh = () => {
    if (document.hidden) timer = window.setTimeout(refresh, everyMs);
    else void loadNow();
  };
  return {
    state,
    reload: () => void loadNow(),
    start() {
      void loadNow();
      return () => {
        begun?.abort();
        window.clearTimeout(timer);
      };
    },
  };
}
