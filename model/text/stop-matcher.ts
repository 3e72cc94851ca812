import { Fault } from "#kernel";

export interface StopMatcher {
  /** The text that may be released, and whether a stop string has ended it. After that there is no more text. */
  push(text: string): { readonly text: string; readonly stopped: boolean };
  /** The text that was held back because it might have become a stop string. */
  flush(): string;
}

/** One stop string and how much of it the text ends with, by Knuth, Morris and Pratt. */
interface Candidate {
  readonly stop: string;
  /** For each length matched so far: the next shorter one that also fits. */
  readonly fallback: readonly number[];
  matched: number;
}

/**
 * Looks for stop strings in a text that arrives in pieces. The text ends where the first stop string begins; of two
 * that end at the same place the longer counts. The result does not depend on how the text is cut into pieces. Fault
 * parameter_invalid for an empty stop string.
 */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  const candidates = stops.map((stop, index): Candidate => {
    if (stop === "") throw new Fault("parameter_invalid", `stop[${index}]: is empty`, { detail: { field: `stop[${index}]` } });
    return { stop, fallback: fallbackTable(stop), matched: 0 };
  });
  let held = "";
  let stopped = false;

  return {
    push(text) {
      if (stopped) return { text: "", stopped };
      const before = held.length;
      held += text;
      for (let at = before; at < held.length; at++) {
        const length = advance(candidates, held[at]!);
        if (length === 0) continue;
        stopped = true;
        const released = held.slice(0, at + 1 - length);
        held = "";
        return { text: released, stopped };
      }
      return { text: release(Math.max(0, ...candidates.map(({ matched }) => matched))), stopped };
    },
    flush: () => release(0),
  };

  /** Gives out all but the last `keep` characters. */
  function release(keep: number): string {
    const released = held.slice(0, held.length - keep);
    held = held.slice(held.length - keep);
    return released;
  }
}

/** Feeds one character to all candidates. The length of the longest stop string that it completes, or 0. */
function advance(candidates: readonly Candidate[], character: string): number {
  let completed = 0;
  for (const candidate of candidates) {
    const { stop, fallback } = candidate;
    let { matched } = candidate;
    while (matched > 0 && stop[matched] !== character) matched = fallback[matched - 1]!;
    candidate.matched = stop[matched] === character ? matched + 1 : 0;
    if (candidate.matched === stop.length) completed = Math.max(completed, stop.length);
  }
  return completed;
}

/** For each prefix of `text`: the length of its longest proper prefix that is also its suffix. */
function fallbackTable(text: string): number[] {
  const table = [0];
  for (let at = 1; at < text.length; at++) {
    let length = table[at - 1]!;
    while (length > 0 && text[at] !== text[length]) length = table[length - 1]!;
    table.push(text[at] === text[length] ? length + 1 : 0);
  }
  return table;
}
