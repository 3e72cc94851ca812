import { fork } from "node:child_process";
import { join } from "node:path";
import type { ComparisonOptions, SeedComparison } from "#scheduler/sim";

/** One seed of one comparison. */
export interface SimulationTask {
  readonly options: ComparisonOptions;
  readonly seed: number;
}

/** Runs tasks in so many processes, each task whole in one; `done` hears of each as it ends, in no order. One job runs in this process. */
export async function runSimulations(
  tasks: readonly SimulationTask[],
  jobs: number,
  done: (index: number, result: SeedComparison) => Promise<void> | void,
): Promise<void> {
  if (jobs === 1) {
    const { compareOnSeed } = await import("#scheduler/sim");
    for (const [index, { options, seed }] of tasks.entries()) await done(index, compareOnSeed(options, seed, processorMs));
    return;
  }
  let next = 0;
  const work = async (): Promise<void> => {
    const child = fork(join(import.meta.dirname, "simulation-process.ts"));
    try {
      while (next < tasks.length) {
        const index = next++;
        await done(index, await askProcess(child, tasks[index]!));
      }
    } finally {
      child.kill();
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, tasks.length) }, work));
}

/** What this process has computed, user and system: what others do on the machine at the same time does not count. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function askProcess(
  child: ReturnType<typeof fork>,
  { options: { progress: _progress, signal: _signal, ...options }, seed }: SimulationTask,
) {
  const { promise, resolve, reject } = Promise.withResolvers<SeedComparison>();
  const ended = (code: number | null) => reject(new Error(`a simulation's process ended with ${code}`));
  child.once("exit", ended);
  child.once("message", (result) => {
    child.off("exit", ended);
    resolve(result as SeedComparison);
  });
  child.send({ options, seed });
  return promise;
}
