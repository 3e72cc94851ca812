import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { shown } from "./prompt-separator.ts";
import { SharedEnds } from "./shared-ends.ts";

const PREFIX_CHARACTERS_MIN = 5;

/**
 * Check 13: what every completion begins with says nothing. A space in front stays, for check 15 would only
 * add it again. Texts without prompts are kept whole: nobody would write their beginning for the model.
 */
export function completionPrefix(stage: number): Check<CompletionRow> {
  return {
    name: "completion prefix",
    stage,
    start() {
      const ends = new SharedEnds();
      return {
        see: ({ completion }) => ends.see(completion),
        conclude({ task }) {
          if (task === "open-ended") return undefined;
          const prefix = ends.prefix(1);
          if (ends.identical || prefix.trimStart().length < PREFIX_CHARACTERS_MIN) return undefined;
          const kept = prefix.startsWith(" ") ? " " : "";
          return {
            immediateMessage: `All completions begin with ${shown(prefix)}, which says nothing`,
            optional: {
              message: `Take ${shown(prefix)} from the beginning of all completions`,
              rewrite: (row) => ({ ...row, completion: kept + row.completion.slice(prefix.length) }),
            },
          };
        },
      };
    },
  };
}
