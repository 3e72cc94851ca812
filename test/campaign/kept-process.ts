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
  /** SIGTERM, as an orchestrator does it; the next life begins when this one has ended. Resolves then. */
  restart(): Promise<Stop>;
  /** SIGTERM, and no next life before what this gives is called. */
  takeAway(): Promise<() => void>;
  /** It stands still, and nobody is told. Returns what lets it go on. */
  freeze(): () => void;
}

/** How a process ended that was asked to. */
export interface Stop {
  /** `exit code 0`, or the signal that killed it. */
  readonly ended: string;
  readonly tookMs: number;
  /** What it said in this life, at its end. */
  readonly lastWords: string;
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
/** Longer than the grace of any part. */
const STOP_MS_MAX = 90_000;
const LAST_WORDS_BYTES = 4_000;

export function keepProcess(options: KeptProcessOptions): KeptProcess {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const deaths: Death[] = [];
  /** Whose ends are nobody's fault. */
  const killed = new WeakSet<ChildProcess>();
  let away = false;
  let child: ChildProcess | undefined;
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;

  const lastWords = (logBytesBefore: number) =>
    readFileSync(options.logFile).subarray(logBytesBefore).subarray(-LAST_WORDS_BYTES).toString();
  let bornAt = 0;

  const start = () => {
    const log = openSync(options.logFile, "a");
    const logBytesBefore = statSync(options.logFile).size;
    bornAt = logBytesBefore;
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
      if (stopping || away) return;
      if (killed.has(life)) return start();
      const uptimeMs = performance.now() - startedMs;
      deaths.push({ name: options.name, ended: endOf(code, signal), uptimeMs, lastWords: lastWords(logBytesBefore) });
      restart = setTimeout(start, RESTART_MS);
    });
  };
  start();

  const terminate = async (): Promise<Stop> => {
    const last = child;
    if (!last?.pid) throw new Error(`${options.name} does not run, so it cannot be stopped`);
    const startedMs = performance.now();
    const words = bornAt;
    killed.add(last);
    const exited = once(last, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    last.kill("SIGTERM");
    const late = setTimeout(() => last.kill("SIGKILL"), STOP_MS_MAX);
    const [code, signal] = await exited;
    clearTimeout(late);
    return { ended: endOf(code, signal), tookMs: performance.now() - startedMs, lastWords: lastWords(words) };
  };

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
    restart: terminate,
    async takeAway() {
      away = true;
      await terminate();
      return () => {
        away = false;
        if (!stopping) start();
      };
    },
    freeze() {
      const frozen = child;
      frozen?.kill("SIGSTOP");
      return () => void frozen?.kill("SIGCONT");
    },
    async [Symbol.asyncDispose]() {
      stopping = true;
      clearTimeout(restart);
      child?.kill("SIGCONT");
      if (child?.pid) await terminate();
    },
  };
}

function endOf(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ?? `exit code ${code}`;
}
