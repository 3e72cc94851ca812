import { Fault } from "#kernel";
import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { shown } from "./prompt-separator.ts";
import { SharedEnds } from "./shared-ends.ts";

/** From the plainest to the least likely to stand in a text. */
const STOPS = ["\n", ".", " END", "***", "+++", "&&&", "$$$", "@@@", "%%%"] as const;
const LAST_RESORT = " [END]";
const LONG_CHARACTERS = 10;

/** A text as it was before a stop was added that has capitals. */
export function withoutStop(text: string): string {
  return text.replace(/ (END|\[END\])$/, "");
}

/** Check 14: one and the same end of all completions can be given to `stop`. Labels of classes need none. */
export function completionStop(stage: number): Check<CompletionRow> {
  return {
    name: "completion stop",
    stage,
    start() {
      const ends = new SharedEnds();
      const free = new Set<string>(STOPS);
      return {
        see({ completion }) {
          ends.see(completion);
          for (const stop of free) if (completion.includes(stop)) free.delete(stop);
        },
        conclude({ task, rows }) {
          if (task === "open-ended" || task === "classification" || rows < 2) return undefined;
          if (ends.identical) {
            const why = "all completions are identical: there is nothing to tell apart";
            return { error: new Fault("file_malformed", why, { detail: { field: "completion" } }) };
          }
          const { suffix } = ends;
          const [stop = LAST_RESORT] = free;
          if (suffix !== "") return { immediateMessage: describe(suffix, stop, ends.suffixRepeats), stop: suffix };
          return {
            immediateMessage: "The completions have no common end that could be given to `stop`",
            optional: {
              message: `End all completions with ${shown(stop)}`,
              rewrite: (row) => ({ ...row, completion: row.completion + stop }),
            },
          };
        },
      };
    },
  };
}

function describe(suffix: string, stop: string, repeats: boolean): string {
  const long = suffix.length > LONG_CHARACTERS ? `. That is long; a shorter one such as ${shown(stop)} costs fewer tokens` : "";
  const repeated = repeats ? "\n  WARNING: some completions have it elsewhere too, where `stop` would cut them" : "";
  return `All completions end with ${shown(suffix)}${long}${repeated}`;
}
