import { spawnSync } from "node:child_process";

/** A download on a slow line; longer means that something hangs. */
const STEP_MS_MAX = 180_000;

/**
 * Makes sure that tests find a program: installs its packages with apt where it is missing and this is permitted. Gives one
 * line to print when something was done, or could not be.
 */
export function installWithApt(program: string, packages: readonly string[], present: () => boolean): string | undefined {
  if (present()) return undefined;
  const skipped = (why: string) => `${program} is missing ${why}: tests that need it are skipped`;
  if (!succeeds("apt-get", ["--version"])) return skipped("and there is no apt-get");
  const root = process.getuid?.() === 0;
  if (!root && !succeeds("sudo", ["-n", "true"])) return skipped("and apt-get needs root");
  const apt = (...args: string[]) => succeeds(...asRoot(root, ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args]));
  const install = () => apt("install", "-y", "--no-install-recommends", ...packages);
  console.log(`installing ${program} with apt-get, once …`);
  // Lists that are there may be enough; in a fresh container there are none.
  if (!install() && !(apt("update") && install())) return skipped("and apt-get could not install it");
  return present() ? `${program} is installed` : skipped("though apt-get installed it");
}

function asRoot(root: boolean, command: readonly [string, ...string[]]): [string, string[]] {
  if (!root) return ["sudo", ["-n", ...command]];
  const [program, ...args] = command;
  return [program, args];
}

export function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore", timeout: STEP_MS_MAX }).status === 0;
}
