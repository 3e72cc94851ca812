import type { PreparationListener, PreparationStep } from "#trainer";
import { printMessage } from "./output.ts";
import { openQuestions } from "./questions.ts";

/** Talks about a data set while it is prepared. On a terminal it asks; elsewhere only what is necessary is done. */
export interface DataDialogue extends PreparationListener, Disposable {
  asksToSplit(): Promise<boolean>;
}

export interface DataDialogueOptions {
  /** Every recommendation is taken, unasked. */
  readonly takeAll: boolean;
  /** Nothing is printed; the caller prints all steps at the end. */
  readonly quiet: boolean;
}

const LABELS = { note: "", necessary: "[Necessary] ", recommended: "[Recommended] " } as const;

export function createDataDialogue({ takeAll, quiet }: DataDialogueOptions): DataDialogue {
  const asks = !takeAll && !quiet && process.stdin.isTTY === true;
  const questions = asks ? openQuestions() : undefined;
  const ask = async (question: string) => questions !== undefined && (await questions.ask(`- ${LABELS.recommended}${question}`));
  return {
    told(step) {
      if (!quiet && !(asks && step.kind === "recommended")) printMessage(describeStep(step));
    },
    accepts: async (_check, message) => takeAll || (await ask(message)),
    asksToSplit: () => ask("Keep some examples apart, to measure with"),
    [Symbol.dispose]: () => questions?.[Symbol.dispose](),
  };
}

function describeStep({ kind, message, applied }: PreparationStep): string {
  const left = kind === "recommended" && !applied ? " (not done: ask for it with -y)" : "";
  return `- ${LABELS[kind]}${message}${left}`;
}
