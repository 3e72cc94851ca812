import { createInterface } from "node:readline/promises";
import { Fault } from "#kernel";
import type { PreparationListener, PreparationStep } from "#trainer";
import { printMessage } from "./output.ts";

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
  const terminal = asks ? createInterface({ input: process.stdin, output: process.stderr }) : undefined;
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Fault("client_gone", "interrupted"));
  // An open terminal makes events of Ctrl-C and of Ctrl-D; a question without an answer would wait for ever.
  terminal?.once("SIGINT", interrupt).once("close", interrupt);
  const ask = async (question: string): Promise<boolean> => {
    try {
      const answer = await terminal!.question(`- ${question} [Y/n]: `, { signal: interrupted.signal });
      return !/^\s*n/i.test(answer);
    } catch (error) {
      interrupted.signal.throwIfAborted();
      throw error;
    }
  };
  return {
    told(step) {
      if (!quiet && !(asks && step.kind === "recommended")) printMessage(describeStep(step));
    },
    accepts: async (_check, message) => takeAll || (asks && (await ask(`${LABELS.recommended}${message}`))),
    asksToSplit: async () => asks && (await ask(`${LABELS.recommended}Keep some examples apart, to measure with`)),
    [Symbol.dispose]: () => terminal?.close(),
  };
}

function describeStep({ kind, message, applied }: PreparationStep): string {
  const left = kind === "recommended" && !applied ? " (not done: ask for it with -y)" : "";
  return `- ${LABELS[kind]}${message}${left}`;
}
