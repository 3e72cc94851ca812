import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { installChromium } from "./chromium-installation.ts";
import { installPromtool } from "./promtool-installation.ts";
import { installRedis } from "./redis-installation.ts";

// `npm test`: what tests need, every test of the repository, then one line that says how many. Arguments go to vitest: `npm test -- router`.

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Vitest found nothing wrong, neither in tests nor around them. */
  readonly clean: boolean;
  /** Test files whose process V8 ended, where nothing else is wrong. */
  readonly ended: readonly string[];
}

const VITEST = join(import.meta.dirname, "../node_modules/vitest/vitest.mjs");
/**
 * V8's own check of its code pages ends a process with SIGTRAP once in many thousands of worker threads that come and go
 * (nodejs/node#64500). It says nothing about our code, whose failures have other signs.
 */
const ENDED_BY_V8 = /Worker exited unexpectedly with signal SIGTRAP .*while running test file (\S+)/g;

async function runTests(args: readonly string[]): Promise<Outcome> {
  const scratch = mkdtempSync(join(tmpdir(), "deltaplane-tests-"));
  try {
    const report = join(scratch, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const child = spawn(process.execPath, [VITEST, "run", ...reporters, ...args], { stdio: ["inherit", "inherit", "pipe"] });
    let errors = "";
    child.stderr.on("data", (chunk: Buffer) => {
      process.stderr.write(chunk);
      errors += chunk.toString();
    });
    const [status] = (await once(child, "close")) as [number | null];
    const counts = JSON.parse(readFileSync(report, "utf8")) as Record<"numPassedTests" | "numFailedTests" | "numPendingTests", number>;
    const said = stripVTControlCharacters(errors);
    const ended = [...said.matchAll(ENDED_BY_V8)].map(([, file]) => file!);
    const unhandled = Number(/Vitest caught (\d+) unhandled error/.exec(said)?.[1] ?? 0);
    return {
      passed: counts.numPassedTests,
      failed: counts.numFailedTests,
      skipped: counts.numPendingTests,
      clean: status === 0,
      ended: counts.numFailedTests === 0 && unhandled === ended.length ? ended : [],
    };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

for (const said of [installRedis(), installPromtool(), installChromium()]) if (said !== undefined) console.log(said);

const all = await runTests(process.argv.slice(2));
const runs = [all];
if (all.ended.length > 0) {
  console.log(`\nV8 ended the process of ${all.ended.join(", ")}: once more`);
  runs.push(await runTests(all.ended));
}
const sum = (count: "passed" | "failed" | "skipped") => runs.reduce((total, run) => total + run[count], 0);
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exitCode = runs.at(-1)!.clean ? 0 : 1;
