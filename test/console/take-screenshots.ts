import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { installChromium } from "../chromium-installation.ts";

/** `npm run console:shots`: the console's tests, which leave pictures of every view in `console/screenshots`. */
const root = join(import.meta.dirname, "../..");
const said = installChromium();
if (said !== undefined) console.log(said);
const { status } = spawnSync(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run", "test/console"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, CONSOLE_SHOTS: join(root, "console/screenshots") },
});
process.exitCode = status ?? 1;
