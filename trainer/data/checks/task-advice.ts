import type { CompletionRow } from "../rows.ts";
import type { Check, TaskKind } from "./check.ts";

const ADVICE: Readonly<Partial<Record<TaskKind, string>>> = {
  "open-ended": "There are no prompts: the model will learn to write texts like these, from nothing",
  classification:
    "It looks like a classification. A small base is usually as good as a large one at it; keep some examples apart to measure with",
};

/** Check 6: what the data teach, and what to choose for it. */
export function taskAdvice(stage: number): Check<CompletionRow> {
  return {
    name: "task",
    stage,
    start: () => ({
      see() {},
      conclude({ task, classes }) {
        const advice = ADVICE[task];
        if (advice === undefined) return undefined;
        return {
          immediateMessage: task === "classification" ? `${advice}. Its ${classes} classes are counted by their exact text` : advice,
        };
      },
    }),
  };
}
