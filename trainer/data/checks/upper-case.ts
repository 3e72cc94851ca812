import type { CompletionRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { withoutStop } from "./completion-stop.ts";

/** Checks 9 and 10: bases know ordinary writing best. More than a third of the letters in upper case is not. */
export function upperCase(stage: number, column: "prompt" | "completion"): Check<CompletionRow> {
  return {
    name: `upper case in ${column}s`,
    stage,
    start() {
      let upper = 0;
      let letters = 0;
      return {
        see(row) {
          const text = withoutStop(row[column]);
          const lowered = text.toLowerCase();
          letters += text.match(/\p{L}/gu)?.length ?? 0;
          // Capitals that have no small letter stay as they are.
          if (lowered !== text) for (const letter of text.match(/\p{Lu}/gu) ?? []) if (letter.toLowerCase() !== letter) upper++;
        },
        conclude() {
          if (upper * 3 <= letters) return undefined;
          return {
            immediateMessage: `More than a third of the letters in the ${column}s are upper case, which bases know less well`,
            optional: {
              message: `Write all ${column}s in lower case`,
              rewrite: (row) => ({ ...row, [column]: row[column].toLowerCase() }),
            },
          };
        },
      };
    },
  };
}
