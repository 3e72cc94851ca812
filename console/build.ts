import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";

/**
 * Builds `console/dist`, which is committed: a router needs no build tools.
 * With `--check` nothing is written: it fails when what is committed is not what would be built.
 */
const here = import.meta.dirname;
const dist = join(here, "dist");
const buildTo = (outDir: string) => build({ configFile: join(here, "vite.config.ts"), logLevel: "warn", build: { outDir } });

process.env["NODE_ENV"] = "production"; // Whatever the shell says: the same sources are the same files.
if (process.argv.includes("--check")) {
  const fresh = mkdtempSync(join(tmpdir(), "deltaplane-console-"));
  try {
    await buildTo(fresh);
    execFileSync("diff", ["-r", fresh, dist], { stdio: "inherit" });
    console.log("console/dist is up to date");
  } catch {
    console.error("console/dist is stale: run `npm run console` and commit the result");
    process.exitCode = 1;
  } finally {
    rmSync(fresh, { recursive: true });
  }
} else {
  await buildTo(dist);
}
