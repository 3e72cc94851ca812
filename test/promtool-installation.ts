import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** A download on a slow line; longer means that something hangs. */
const STEP_MS_MAX = 180_000;
const DIRECTORY = join(import.meta.dirname, "../node_modules/.cache/deltaplane/prometheus");
const UNPACKED = join(DIRECTORY, "usr/bin/promtool");

/** The promtool to use: the machine's, or the one that {@link installPromtool} unpacked. */
export function promtoolPath(): string | undefined {
  if (succeeds("promtool", ["--version"])) return "promtool";
  return existsSync(UNPACKED) && succeeds(UNPACKED, ["--version"]) ? UNPACKED : undefined;
}

/**
 * Makes sure that tests find a promtool: takes it out of Debian's package, which is not installed, so that no server starts.
 * Gives one line to print when something was done, or could not be.
 */
export function installPromtool(): string | undefined {
  if (promtoolPath() !== undefined) return undefined;
  const skipped = (why: string) => `promtool is missing ${why}: tests that need it are skipped`;
  if (!succeeds("apt-get", ["--version"])) return skipped("and there is no apt-get");
  mkdirSync(DIRECTORY, { recursive: true });
  console.log("fetching promtool with apt-get, once …");
  const download = () => succeeds("apt-get", ["-qq", "download", "prometheus"]);
  // Lists that are there may be enough; in a fresh container there are none, and only root may fetch them.
  if (!download() && !(succeeds("apt-get", ["-qq", "update"]) && download())) return skipped("and apt-get could not fetch it");
  for (const file of readdirSync(DIRECTORY).filter((name) => name.endsWith(".deb"))) {
    succeeds("dpkg-deb", ["-x", file, "."]);
    rmSync(join(DIRECTORY, file));
  }
  // The server itself is not needed, and large.
  rmSync(join(DIRECTORY, "usr/bin/prometheus"), { force: true });
  return promtoolPath() === undefined ? skipped("in Debian's package") : "promtool is unpacked";
}

function succeeds(program: string, args: readonly string[]): boolean {
  const cwd = existsSync(DIRECTORY) ? DIRECTORY : undefined;
  return spawnSync(program, args, { stdio: "ignore", timeout: STEP_MS_MAX, ...(cwd && { cwd }) }).status === 0;
}
