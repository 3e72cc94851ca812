import { installWithApt, succeeds } from "./apt-installation.ts";

/** For tests of the state's second implementation. */
export function installRedis(): string | undefined {
  return installWithApt("redis-server", ["redis-server"], () => succeeds("redis-server", ["--version"]));
}
