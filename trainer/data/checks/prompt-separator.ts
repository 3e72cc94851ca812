import { Fault } from "#kernel";
import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { SharedEnds } from "./shared-ends.ts";

/** From the plainest to the least likely to stand in a text. An arrow is for prompts of one line. */
const SEPARATORS = [" ->", "\n\n###\n\n", "\n\n===\n\n", "\n\n---\n\n", "\n\n===>\n\n", "\n\n--->\n\n"] as const;
const LAST_RESORT = "\n\n### =>\n\n";
const LONG_CHARACTERS = 10;

/** Check 11: with one and the same end of all prompts, the model knows where the completion begins. */
export function promptSeparator(stage: number): Check<CompletionRow> {
  return {
    name: "prompt separator",
    stage,
    start() {
      const ends = new SharedEnds();
      const free = new Set<string>(SEPARATORS);
      return {
        see({ prompt }) {
          ends.see(prompt);
          for (const separator of free)
            if (prompt.includes(separator) || (separator === " ->" && prompt.includes("\n"))) free.delete(separator);
        },
        conclude({ task, rows }) {
          if (task === "open-ended" || rows < 2) return undefined;
          if (ends.identical) {
            const why = "all prompts are identical: leave them empty to learn texts without prompts, or make them differ";
            return { error: new Fault("file_malformed", why, { detail: { field: "prompt" } }) };
          }
          const { suffix } = ends;
          const [separator = LAST_RESORT] = free;
          if (suffix !== "") return { immediateMessage: describe(suffix, separator, ends.suffixRepeats), separator: suffix };
          return {
            immediateMessage: "The prompts have no common end, from which the model could tell where the completion begins",
            optional: {
              message: `End all prompts with ${shown(separator)}`,
              rewrite: (row) => ({ ...row, prompt: row.prompt + separator }),
            },
          };
        },
      };
    },
  };
}

function describe(suffix: string, separator: string, repeats: boolean): string {
  const long = suffix.length > LONG_CHARACTERS ? `. That is long; a shorter one such as ${shown(separator)} costs fewer tokens` : "";
  const repeated = repeats ? "\n  WARNING: some prompts have it elsewhere too, where no completion follows" : "";
  return `All prompts end with ${shown(suffix)}${long}${repeated}`;
}

export function shown(text: string): string {
  return JSON.stringify(text);
}
