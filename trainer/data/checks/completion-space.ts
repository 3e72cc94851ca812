import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";

/** Check 15: tokenizers keep a space with the word behind it, so that a word after one is the word that the base knows. */
export function completionSpace(stage: number): Check<CompletionRow> {
  return {
    name: "completion space",
    stage,
    start() {
      let without = 0;
      return {
        see({ completion }) {
          if (!completion.startsWith(" ")) without++;
        },
        conclude() {
          if (without === 0) return undefined;
          return {
            immediateMessage: "Completions do not begin with a space, as words within a text do: tokenizers know those best",
            optional: {
              message: "Begin all completions with a space",
              rewrite: (row) => (row.completion.startsWith(" ") ? row : { ...row, completion: ` ${row.completion}` }),
            },
          };
        },
      };
    },
  };
}
