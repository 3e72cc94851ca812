import { PatternError } from "./pattern-error.ts";
import { parsePattern, type State } from "./pattern-parser.ts";

/** Steps left for matching, shared by all patterns of one file: together they must not take longer than a moment. */
export interface PatternBudget {
  stepsLeft: number;
}

/** About half a second; a real file needs less than a thousandth of it. */
export const PATTERN_STEPS_MAX = 20_000_000;

/**
 * A regular expression of a file that we don't trust, matched as Python's `re.fullmatch` would. Follows all
 * alternatives at once (Thompson 1968), so that time grows with text × pattern and never explodes; lazy and greedy
 * make no difference to whether a text matches. Throws {@link PatternError} for syntax that is not supported, and when
 * the budget is used up.
 */
export function compilePattern(pattern: string, budget: PatternBudget): (text: string) => boolean {
  const { start, accept } = parsePattern(pattern);
  return (text) => {
    let current = new Set<State>();
    follow(start, text, 0, current, budget);
    for (let at = 0; at < text.length && current.size > 0; at++) {
      const next = new Set<State>();
      for (const state of current) {
        if (state.kind === "unit" && state.accepts(text.charCodeAt(at))) follow(state.next, text, at + 1, next, budget);
      }
      current = next;
    }
    return current.has(accept);
  };
}

/** Adds a state and all that it reaches without consuming text. */
function follow(state: State, text: string, at: number, reached: Set<State>, budget: PatternBudget): void {
  const waiting = [state];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (reached.has(next)) continue;
    if (budget.stepsLeft-- <= 0) throw new PatternError("takes too long to match");
    reached.add(next);
    if (next.kind === "choice") waiting.push(...next.next);
    if (next.kind === "position" && next.holds(text, at)) waiting.push(next.next);
  }
}
