import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type KeptProcess, keepProcess } from "./kept-process.ts";

/** Whether this machine has one; tests that need it are skipped where it has not, and say so. */
export function hasRedisServer(): boolean {
  return spawnSync("redis-server", ["--version"], { stdio: "ignore" }).status === 0;
}

/** A redis-server that has on disk what it has acknowledged. */
export function keepRedisServer(folder: string, port: number): KeptProcess {
  const directory = join(folder, "redis");
  mkdirSync(directory, { recursive: true });
  return keepProcess({
    name: "redis",
    command: "redis-server",
    args: [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", directory],
      ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
    ],
    logFile: join(folder, "logs/redis.log"),
  });
}
