import { fork } from "node:child_process";

export interface WebgpuTrial {
  readonly works: boolean;
  /** Why not, in the library's own words; empty when it works. */
  readonly complaint: string;
}

/** A software device compiles its first kernel in a second; a card that hangs does not come back at all. */
const TRIAL_MS_MAX = 30_000;

/** Whether WebGPU finds a device here and computes on it. In a process of its own, which may crash. */
export async function tryWebgpu(environment: NodeJS.ProcessEnv = process.env): Promise<WebgpuTrial> {
  const child = fork(new URL("./webgpu-trial-process.ts", import.meta.url), [], {
    env: environment,
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    timeout: TRIAL_MS_MAX,
    killSignal: "SIGKILL",
  });
  let said = "";
  let sums: readonly number[] = [];
  child.stderr!.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.on("message", (message: { sums: readonly number[] }) => {
    sums = message.sums;
  });
  const ended = await new Promise<string>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once("error", (error) => resolve(error.message));
  });
  if (sums.join() === "4,42") return { works: true, complaint: "" };
  return { works: false, complaint: complaintIn(said) ?? `the trial ended with ${ended}` };
}

/** What the library says last, without the places in its own sources. */
export function complaintIn(said: string): string | undefined {
  const loader = /Couldn't load Vulkan: (.+)/.exec(said)?.[1];
  if (loader !== undefined) return loader.trim();
  const thrown = /^Error: (.+)$/m.exec(said)?.[1];
  return thrown?.replace(/^\/\S+ .* was false\. /, "").trim();
}
