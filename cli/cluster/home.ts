import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { Fault } from "#kernel";

/** What a running embedded cluster tells commands in the same folder. */
const Running = z.object({
  pid: z.number(),
  http: z.string(),
  grpcAddress: z.string(),
  /** Of the administration's door. */
  adminAddress: z.string(),
  metrics: z.string(),
});
export type RunningCluster = z.infer<typeof Running> & { readonly adminKey: string | undefined };

const Keys = z.object({ admin: z.string(), tenants: z.record(z.string(), z.string()) });
export type DemoKeys = z.infer<typeof Keys>;

/** The folder in which an embedded cluster keeps its state: `.deltaplane/`, or DELTAPLANE_HOME. */
export interface Home {
  readonly directory: string;
  path(...parts: string[]): string;
  /** Makes the folder if need be, and leaves it to its owner alone: it holds prompts, uploads and the books. */
  makePrivate(): void;
  /** The cluster that runs here, if one does. */
  runningCluster(): RunningCluster | undefined;
  announce(cluster: z.infer<typeof Running>): void;
  withdraw(): void;
  readKeys(): DemoKeys | undefined;
  writeKeys(keys: DemoKeys): void;
  /** The secret that the cluster's own parts show one another; made at first use. */
  clusterKey(): string;
}

export function openHome(directory = resolve(process.env["DELTAPLANE_HOME"] ?? ".deltaplane")): Home {
  const path = (...parts: string[]) => join(directory, ...parts);
  const home: Home = {
    directory,
    path,
    makePrivate() {
      mkdirSync(directory, { recursive: true });
      chmodSync(directory, 0o700);
    },
    runningCluster() {
      const announced = readJson(path("cluster.json"), Running);
      return announced && isAlive(announced.pid) ? { ...announced, adminKey: home.readKeys()?.admin } : undefined;
    },
    announce: (cluster) => writePrivate(path("cluster.json"), JSON.stringify(cluster, null, 2)),
    withdraw: () => rmSync(path("cluster.json"), { force: true }),
    readKeys: () => readJson(path("demo-keys.json"), Keys),
    writeKeys: (keys) => writePrivate(path("demo-keys.json"), JSON.stringify(keys, null, 2)),
    clusterKey() {
      const file = path("cluster-key");
      if (!existsSync(file)) writePrivate(file, randomBytes(32).toString("hex"));
      return readFileSync(file, "utf8").trim();
    },
  };
  return home;
}

/** Readable by the owner only; replaced as a whole, so that a reader never sees half of it. */
export function writePrivate(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${text}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new Fault("file_malformed", `${file} is damaged; remove it to start over`, { detail: { file }, cause });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
