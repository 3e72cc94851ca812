import { createInterface } from "node:readline/promises";
import { Fault } from "#kernel";

/** Questions at the terminal, to be answered with yes or no. */
export interface Questions extends Disposable {
  /** Yes unless it is denied. @throws Fault client_gone on Ctrl-C or Ctrl-D */
  ask(question: string): Promise<boolean>;
}

/** For a process whose standard input is a terminal. */
export function openQuestions(): Questions {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Fault("client_gone", "interrupted"));
  // An open terminal makes events of Ctrl-C and of Ctrl-D; a question without an answer would wait for ever.
  terminal.once("SIGINT", interrupt).once("close", interrupt);
  return {
    async ask(question) {
      try {
        const answer = await terminal.question(`${question} [Y/n]: `, { signal: interrupted.signal });
        return !/^\s*n/i.test(answer);
      } catch (error) {
        interrupted.signal.throwIfAborted();
        throw error;
      }
    },
    [Symbol.dispose]: () => terminal.close(),
  };
}
