import { posix } from "node:path";
import { expect, test } from "vitest";
import { isTest, type SourceFile, sourceFiles } from "./source-files.ts";

/** Which folder may import which, through its door. `scheduler/service` is a folder of its own: the impure half. */
const EDGES: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  blobs: ["kernel"],
  proto: ["kernel"],
  model: ["kernel"],
  state: ["kernel"],
  scheduler: ["kernel"],
  "scheduler/service": ["scheduler", "state", "proto", "kernel"],
  router: ["scheduler", "scheduler/service", "state", "blobs", "proto", "kernel"],
  "node-agent": ["model", "proto", "kernel"],
  trainer: ["state", "model", "proto", "kernel"],
  kubernetes: ["state", "proto", "kernel"],
};
/** What is served to browsers: a program of its own, which imports nothing of ours and has no door. */
const APART = new Set(["console"]);
/** Composition roots and what looks at the whole. */
const FREE = new Set(["cli", "bench", "test", "models", "deploy", ""]);

const IMPORT = /(?:^|\n)\s*(?:import|export)\b[^;'"]*?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g;

function importsOf(file: SourceFile): readonly string[] {
  return [...file.text.matchAll(IMPORT)].map((match) => (match[1] ?? match[2])!);
}

function moduleOf(path: string): string {
  if (path.startsWith("scheduler/service/")) return "scheduler/service";
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

test("a folder imports only what the architecture lets it, and only through the door", () => {
  const wrong: string[] = [];
  for (const file of sourceFiles()) {
    const from = moduleOf(file.path);
    for (const specifier of importsOf(file)) {
      const to = specifier.startsWith("#")
        ? specifier.slice(1)
        : specifier.startsWith(".")
          ? moduleOf(posix.join(posix.dirname(file.path), specifier))
          : undefined;
      if (to === undefined || to === from) continue;
      if (APART.has(from)) {
        wrong.push(`${file.path} imports ${specifier}: what is served to browsers asks the public API instead`);
      } else if (specifier.startsWith(".") && !FREE.has(from)) {
        wrong.push(`${file.path} imports ${specifier}: go through the door, import from "#${to}"`);
      } else if (!FREE.has(from) && !isTest(file.path) && !EDGES[from]?.includes(to)) {
        wrong.push(
          `${file.path} imports #${to}: ${from} may import ${EDGES[from]?.join(", ") || "nothing of ours"} (docs/architecture.md); move the code, or meet in proto/`,
        );
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("every folder with an edge has a door", () => {
  const paths = new Set(sourceFiles().map((file) => file.path));
  const missing = Object.keys(EDGES).filter((folder) => !paths.has(`${folder}/index.ts`));
  expect(missing, "a folder's door is its index.ts").toEqual([]);
});

test("one file knows the client of Kubernetes, so that another one can take its place", () => {
  const program = sourceFiles().filter(({ path }) => !isTest(path));
  const knowing = program.filter((file) => importsOf(file).some((specifier) => specifier.startsWith("@kubernetes/")));
  expect(knowing.map(({ path }) => path)).toEqual(["kubernetes/api/cluster-access.ts"]);
});
