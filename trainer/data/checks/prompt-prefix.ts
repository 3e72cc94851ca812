import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { shown } from "./prompt-separator.ts";
import { SharedEnds } from "./shared-ends.ts";

/** A few equal words are chance; more are an instruction. */
const PREFIX_CHARACTERS_MAX = 12;

/** Check 12: an instruction before every prompt is learned anyway, and costs its tokens with each call. */
export function promptPrefix(stage: number): Check<CompletionRow> {
  return {
    name: "prompt prefix",
    stage,
    start() {
      const ends = new SharedEnds();
      return {
        see: ({ prompt }) => ends.see(prompt),
        conclude() {
          const prefix = ends.prefix(0);
          if (ends.identical || prefix.length <= PREFIX_CHARACTERS_MAX) return undefined;
          return {
            immediateMessage: `All prompts begin with ${shown(prefix)}. A tuned model needs no instruction: what is the same in all prompts teaches nothing`,
            optional: {
              message: `Take ${shown(prefix)} from the beginning of all prompts`,
              rewrite: (row) => ({ ...row, prompt: row.prompt.slice(prefix.length) }),
            },
          };
        },
      };
    },
  };
}
