import { expect, test } from "vitest";
import { isTest, sourceFiles, withoutComments } from "./source-files.ts";

/**
 * Clock and chance are injected, so that router, scheduler, agents and ledger run together on a virtual clock under a
 * seeded fault schedule. Only shells touch the real ones.
 */
const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\)/, "take a Clock (#kernel) and ask it for now()"],
  [/\bperformance\.(now|timeOrigin)\b/, "take a Clock (#kernel) and ask it for monotonic()"],
  [/\bMath\.random\b/, "take a Random (#kernel)"],
  [/\b(setTimeout|setInterval|setImmediate)\b/, "take a Clock (#kernel) and await after(), or every()"],
  [/(?<![-\w])process\.(?!memoryUsage)/, "let the shell read the process and hand the value in"],
  [/from "node:timers/, "take a Clock (#kernel)"],
  [/\brandom(Bytes|UUID|Int)\b/, "take a Random, or a source of secrets, from the shell"],
];

/** The places that are allowed to: composition roots, the entry points of processes and workers, and the system's own door. */
const SHELLS = [
  /^cli\//,
  /^bench\//,
  /^models\/train\//,
  // A program of the browser's, which is its clock; nothing of it runs on a virtual one.
  /^console\//,
  /(^|\/)main\.ts$/,
  /-process\.ts$/,
  /-worker\.ts$/,
  /^kernel\/(system|virtual-clock)\.ts$/,
  /^proto\/generate\.ts$/,
  /^vitest\.config\.ts$/,
];

test("clock, chance, timers and process appear in shells only", () => {
  const wrong: string[] = [];
  for (const file of sourceFiles()) {
    if (isTest(file.path) || SHELLS.some((shell) => shell.test(file.path))) continue;
    for (const [index, line] of withoutComments(file.text).split("\n").entries()) {
      for (const [pattern, remedy] of FORBIDDEN) {
        if (pattern.test(line)) wrong.push(`${file.path}:${index + 1}: ${line.trim()} — ${remedy}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});
