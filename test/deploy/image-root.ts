import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { contextFiles, copies, isFolder, parseDockerfile, type Stage } from "./dockerfile.ts";
import { DEPLOY } from "./manifests.ts";

const REPOSITORY = join(DEPLOY, "..");
/** Where images of Node have theirs. */
const NODE = "usr/local/bin/node";

export interface ImageRoot {
  /** What would be `/` in a container, less what the base image brings. */
  readonly root: string;
  readonly user: number;
  /** As in the Dockerfile: absolute in the container. */
  readonly entrypoint: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface BuildOptions {
  /** An empty folder; each stage gets its own below. */
  readonly directory: string;
  readonly target: string;
  /**
   * `install`: every RUN is run as it stands, npm ci against the registry. `link`: packages are linked from this checkout, exactly those
   * that the lock file has for production; everything else as it stands.
   */
  readonly packages: "install" | "link";
}

/** Follows the Dockerfile's own lines, without an engine: clean folders for roots, the same files, the same commands. @throws Error of the first command that fails */
export function buildImageRoot({ directory, target, packages }: BuildOptions): ImageRoot {
  const stages = new Map(parseDockerfile(readFileSync(join(DEPLOY, "Dockerfile"), "utf8")).map((stage) => [stage.name, stage]));
  chmodSync(directory, 0o755); // The image's user reads below it.
  const context = join(directory, "context");
  for (const path of contextFiles(REPOSITORY, readFileSync(join(DEPLOY, "Dockerfile.dockerignore"), "utf8")))
    cpSync(join(REPOSITORY, path), join(context, path), { recursive: true });

  const built = new Map<string, string>();
  const build = (name: string): string => {
    const done = built.get(name);
    if (done !== undefined) return done;
    const root = join(directory, name);
    built.set(name, root);
    runStage(stages.get(name)!, { root, context, packages, build });
    return root;
  };
  const root = build(target);
  const said = (word: string) => stages.get(target)!.steps.findLast((step) => step.word === word)?.text ?? "";
  return {
    root,
    user: Number(said("USER").split(":")[0]),
    entrypoint: JSON.parse(said("ENTRYPOINT")) as string[],
    environment: Object.fromEntries([...said("ENV").matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name!, value!])),
  };
}

interface StageRun {
  readonly root: string;
  readonly context: string;
  readonly packages: "install" | "link";
  /** Builds another stage, once. */
  readonly build: (name: string) => string;
}

function runStage(stage: Stage, { root, context, packages, build }: StageRun): void {
  let folder = root;
  mkdirSync(dirname(join(root, NODE)), { recursive: true });
  if (stage.image.startsWith("node:")) symlinkSync(process.execPath, join(root, NODE));
  for (const { word, text } of stage.steps) {
    if (word === "WORKDIR") {
      folder = join(root, text);
      mkdirSync(folder, { recursive: true });
    } else if (word === "COPY") {
      const from = copies(text, context).stage === undefined ? context : build(copies(text, context).stage!);
      const { sources, to } = copies(text, from);
      const target = to.startsWith("/") ? join(root, to) : join(folder, to);
      for (const source of sources) {
        const path = join(from, source);
        const isInto = to.endsWith("/") && !isFolder(path);
        copy(path, isInto ? join(target, source) : target);
      }
    } else if (word === "RUN") runCommand(text, folder, packages);
  }
}

/** A command sees nothing but its folder: an absolute path would be one of this machine. */
function runCommand(text: string, folder: string, packages: "install" | "link"): void {
  if (/(^|\s)\//.test(text)) throw new Error(`RUN ${text}: says an absolute path, which cannot be followed outside a container`);
  const command = packages === "install" ? text : text.replace(/npm ci[^&]*/, "true");
  if (command !== text) linkPackages(folder);
  const { status, stderr, error } = spawnSync("sh", ["-euc", command], { cwd: folder, encoding: "utf8" });
  if (error) throw error;
  if (status !== 0) throw new Error(`RUN ${text}: ${stderr}`);
}

/** What `npm ci --omit=dev` installs, as hard links where the file system can. */
function linkPackages(folder: string): void {
  const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as {
    packages: Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>;
  };
  const wanted = Object.entries(packages).flatMap(([path, { dev, devOptional }]) => (path === "" || dev || devOptional ? [] : [path]));
  for (const path of wanted.toSorted()) {
    const source = join(REPOSITORY, path);
    if (!existsSync(source)) continue; // Optional, and for another machine.
    const target = join(folder, path);
    copy(source, target);
    // Packages within are in the list themselves, if they are wanted.
    rmSync(join(target, "node_modules"), { recursive: true, force: true });
  }
}

/** As hard links where the file system can, since nothing here changes a file in place. A folder's content is added to what is there. */
function copy(source: string, target: string): void {
  mkdirSync(isFolder(source) ? target : dirname(target), { recursive: true });
  const { status } = spawnSync("cp", ["-alT", source, target]);
  if (status !== 0) cpSync(source, target, { recursive: true, verbatimSymlinks: true });
}
