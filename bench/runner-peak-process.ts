import { openCheckpoint } from "#model";
import { type Compute, openRunner, type RunnerLimits } from "#node-agent";

// What an engine takes at its peak, read from a process of its own: memory that something else had before counts as well.

const PROMPT_TOKENS = 128;

process.once("message", async (told: { directory: string; limits: RunnerLimits; compute: Compute }) => {
  const { directory, limits, compute } = told;
  const before = process.memoryUsage.rss();
  const runner = await openRunner(await openCheckpoint(directory), { limits, compute, threads: 1 });
  const perRow = Math.floor(limits.kvTokensMax / limits.rowsMax);
  for (const row of Array.from({ length: limits.rowsMax }, () => runner.open(perRow)!)) {
    for (let done = 0; done < perRow; done += PROMPT_TOKENS) {
      const tokens = new Array<number>(Math.min(PROMPT_TOKENS, perRow - done)).fill(1);
      await runner.run([{ row, tokens, slot: undefined, logits: "last" }]);
    }
  }
  process.send!({ peakBytes: process.resourceUsage().maxRSS * 1024 - before, memory: runner.memory });
  await runner[Symbol.asyncDispose](); // What is left on a device at the end makes the library abort.
  process.disconnect();
});
