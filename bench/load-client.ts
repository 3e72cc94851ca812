import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { LoadPlan, LoadResult } from "./load-plan.ts";
import { median } from "./statistics.ts";

const PROCESS = join(import.meta.dirname, "load-client-process.ts");

/** Runs a plan in a client process of its own. Throws when any request fails: a partial load is no figure. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const child = spawn(process.execPath, [PROCESS], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(plan));
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, "close") as Promise<[number | null]>]);
  if (status !== 0) throw new Error(`the load client ended with ${status}`);
  return JSON.parse(output) as LoadResult;
}

/** What a load says about the server. */
export interface LoadFigures {
  /** All completion tokens over the time from the first request's start to the last one's end, prefill included. */
  readonly tokensPerSecond: number;
  readonly ttftMsP50: number;
  /** Between two pieces of the same stream. */
  readonly itlMsP50: number;
}

export function loadFigures({ requests }: LoadResult): LoadFigures {
  const tokens = requests.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  const startedMs = Math.min(...requests.map((request) => request.startedMs));
  const endedMs = Math.max(...requests.map((request) => request.endedMs));
  const gaps = requests.flatMap(({ piecesMs }) => piecesMs.slice(1).map((atMs, index) => atMs - piecesMs[index]!));
  return {
    tokensPerSecond: tokens / ((endedMs - startedMs) / 1000),
    ttftMsP50: median(requests.map((request) => request.piecesMs[0]! - request.startedMs)),
    itlMsP50: median(gaps),
  };
}
