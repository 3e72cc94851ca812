import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installChromium } from "./chromium-installation.ts";
import { installPromtool } from "./promtool-installation.ts";
import { installRedis } from "./redis-installation.ts";

/** `npm test`: what tests need, every test of the repository, then one line that says how many. Arguments go to vitest: `npm test -- router`. */
const vitest = join(import.meta.dirname, "../node_modules/vitest/vitest.mjs");
const scratch = mkdtempSync(join(tmpdir(), "deltaplane-tests-"));
const report = join(scratch, "report.json");

for (const said of [installRedis(), installPromtool(), installChromium()]) if (said !== undefined) console.log(said);

const args = [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
process.exitCode = status ?? 1;

interface Counts {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}
try {
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, "utf8")) as Counts;
  console.log(`\n${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`);
} catch {
  console.error("vitest left no report");
  process.exitCode ||= 1;
} finally {
  rmSync(scratch, { recursive: true });
}
