#!/usr/bin/env node
// `npx deltaplane`: hands over to main.ts under the Node that this package pins, whatever Node the machine has.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const pinned = join(dirname(require.resolve("node/package.json")), "bin", process.platform === "win32" ? "node.exe" : "node");
const main = join(dirname(fileURLToPath(import.meta.url)), "main.ts");

const child = spawn(pinned, [main, ...process.argv.slice(2)], { stdio: "inherit" });
process.on("SIGINT", () => undefined); // Ctrl-C reaches the child through the terminal; this process waits for its answer.
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (status, signal) => {
  process.exitCode = status ?? (signal === "SIGINT" ? 130 : 1);
});
