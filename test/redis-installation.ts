import { spawnSync } from "node:child_process";

/** A download on a slow line; longer means that something hangs. */
const STEP_MS_MAX = 180_000;

/**
 * Makes sure that tests find a redis-server: installs it with apt where it is missing and this is permitted.
 * Gives one line to print when something was done, or could not be.
 */
export function installRedis(): string | undefined {
  if (succeeds("redis-server", ["--version"])) return undefined;
  const skipped = (why: string) => `redis-server is missing ${why}: tests that need it are skipped`;
  if (!succeeds("apt-get", ["--version"])) return skipped("and there is no apt-get");
  const root = process.getuid?.() === 0;
  if (!root && !succeeds("sudo", ["-n", "true"])) return skipped("and apt-get needs root");
  const apt = (...args: string[]) => succeeds(...asRoot(root, ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args]));
  const install = () => apt("install", "-y", "--no-install-recommends", "redis-server");
  console.log("installing redis-server with apt-get, once …");
  // Lists that are there may be enough; in a fresh container there are none.
  if (!install() && !(apt("update") && install())) return skipped("and apt-get could not install it");
  return succeeds("redis-server", ["--version"]) ? "redis-server is installed" : skipped("though apt-get installed it");
}

function asRoot(root: boolean, command: readonly [string, ...string[]]): [string, string[]] {
  if (!root) return ["sudo", ["-n", ...command]];
  const [program, ...args] = command;
  return [program, args];
}

function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore", timeout: STEP_MS_MAX }).status === 0;
}
