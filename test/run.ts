import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** `npm test`: every test of the repository. Arguments go to vitest: `npm test -- router`. */
const vitest = join(import.meta.dirname, "../node_modules/vitest/vitest.mjs");
const { status } = spawnSync(process.execPath, [vitest, "run", ...process.argv.slice(2)], { stdio: "inherit" });
process.exitCode = status ?? 1;
