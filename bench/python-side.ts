import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

/** A Python program to compare with: a line of JSON in, a line of JSON out. */
export interface PythonSide<Q, A> extends AsyncDisposable {
  ask(question: Q): Promise<A>;
}

export function startPythonSide<Q, A>(python: string, script: string, args: readonly string[]): PythonSide<Q, A> {
  const child = spawn(python, [script, ...args], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      const { value } = await orEnd(child, lines.next());
      if (value === undefined) throw new Error(`${basename(script)} ended before it answered`);
      return JSON.parse(value) as A;
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

/** A Python that has these modules: the one named, or the machine's; undefined where there is none. */
export async function findPython(named: string | undefined, modules: readonly string[]): Promise<string | undefined> {
  const python = named ?? "python3";
  try {
    await promisify(execFile)(python, ["-c", `import ${modules.join(", ")}`]);
    return python;
  } catch (error) {
    if (named !== undefined) throw error; // Whoever names one wants the comparison.
    return undefined; // No Python, or one without these.
  }
}

/** What `work` gives; throws when the process ends before. */
export async function orEnd<T>(child: ChildProcess, work: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const ended = once(child, "exit", { signal: settled.signal }).then(([code]) => {
    throw new Error(`a side of the comparison ended with code ${code}`);
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    settled.abort();
  }
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
