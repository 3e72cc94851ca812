import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** A process that ended although nobody killed it. */
export interface Death {
  readonly name: string;
  readonly ended: string;
  readonly uptimeMs: number;
  /** What it said in this life, at its end. */
  readonly lastWords: string;
}

/** A process that is started again whenever it ends, as an orchestrator would. */
export interface KeptProcess extends AsyncDisposable {
  readonly name: string;
  /** Changes with every life; undefined between two. */
  readonly pid: number | undefined;
  readonly deaths: readonly Death[];
  /** SIGKILL; the next life begins at once. False when there was nothing to kill. */
  kill(): boolean;
}

export interface KeptProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly logFile: string;
}

/** After a death of its own: what made it end may still be there. */
const RESTART_MS = 250;
/** A drain is bounded by 30 s in every component. */
const STOP_MS_MAX = 40_000;
const LAST_WORDS_BYTES = 4_000;

export function keepProcess(options: KeptProcessOptions): KeptProcess {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const deaths: Death[] = [];
  const killed = new WeakSet<ChildProcess>();
  let child: ChildProcess | undefined;
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;

  const start = () => {
    const log = openSync(options.logFile, "a");
    const logBytesBefore = statSync(options.logFile).size;
    const startedMs = performance.now();
    const life = spawn(options.command, options.args, {
      env: { ...process.env, NO_COLOR: "1", ...options.environment },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child = life;
    life.once("error", (error) => deaths.push({ name: options.name, ended: error.message, uptimeMs: 0, lastWords: "" }));
    life.once("exit", (code, signal) => {
      child = undefined;
      if (stopping) return;
      if (killed.has(life)) return start();
      const uptimeMs = performance.now() - startedMs;
      const said = readFileSync(options.logFile).subarray(logBytesBefore);
      const lastWords = said.subarray(-LAST_WORDS_BYTES).toString();
      deaths.push({ name: options.name, ended: signal ?? `exit code ${code}`, uptimeMs, lastWords });
      restart = setTimeout(start, RESTART_MS);
    });
  };
  start();

  return {
    name: options.name,
    deaths,
    get pid() {
      return child?.pid;
    },
    kill() {
      if (!child?.pid) return false;
      killed.add(child);
      return child.kill("SIGKILL");
    },
    async [Symbol.asyncDispose]() {
      stopping = true;
      clearTimeout(restart);
      const last = child;
      if (!last?.pid) return;
      const exited = once(last, "exit");
      last.kill("SIGTERM");
      const late = setTimeout(() => last.kill("SIGKILL"), STOP_MS_MAX);
      await exited;
      clearTimeout(late);
    },
  };
}
