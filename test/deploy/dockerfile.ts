import { globSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

export interface Stage {
  readonly name: string;
  /** With build arguments filled in. */
  readonly image: string;
  readonly steps: readonly Step[];
}

/** One instruction: `RUN npm ci` is word `RUN`, text `npm ci`. */
export interface Step {
  readonly word: string;
  readonly text: string;
}

/** The stages of a Dockerfile, in its order. Only what ours use: no heredocs, no ONBUILD. */
export function parseDockerfile(text: string): readonly Stage[] {
  const lines = text
    .split("\n")
    .filter((line) => !/^\s*#/.test(line))
    .join("\n")
    .replace(/\\\n\s*/g, " ");
  const globals = new Map<string, string>();
  const stages: { name: string; image: string; steps: Step[] }[] = [];
  for (const line of lines.split("\n")) {
    const [, word, rest] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (word === undefined) continue;
    const from = word === "FROM" && /^(\S+)(?:\s+AS\s+(\S+))?$/.exec(rest!);
    if (from) stages.push({ name: from[2] ?? String(stages.length), image: filled(from[1]!, globals), steps: [] });
    else if (stages.length > 0) stages.at(-1)!.steps.push({ word, text: rest! });
    else if (word === "ARG") globals.set(rest!.split("=")[0]!, rest!.slice(rest!.indexOf("=") + 1));
  }
  return stages;
}

function filled(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => values.get(name) ?? "");
}

/** The files below `root` that a .dockerignore lets into the context, relative, with `/`. */
export function contextFiles(root: string, ignoreFile: string): readonly string[] {
  const patterns = ignoreFile
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ kept: line.startsWith("!"), pattern: line.replace(/^!/, "").replace(/\/$/, "") }));
  const rules = patterns.map(({ kept, pattern }) => ({ kept, matches: patternOf(pattern) }));
  // The last rule that speaks of a path, or of a folder it is in, decides.
  const kept = (path: string) => rules.findLast(({ matches }) => matches.test(path))?.kept ?? true;
  const mayHold = (folder: string) => kept(folder) || patterns.some((rule) => rule.kept && rule.pattern.startsWith(`${folder}/`));
  const walk = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return mayHold(path) ? walk(path) : [];
      return kept(path) ? [path] : [];
    });
  return walk("");
}

/** `*` stays within a name, `**` does not; a match of a folder is one of all that is in it. */
function patternOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*\*\/|\*\*|\*|\?/g, (wild) => ({ "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]" })[wild]!);
  return new RegExp(`^${source}(?:/.*)?$`);
}

/** What a COPY copies: sources, by their place below `from`, and where to. A destination with a slash at its end is a folder. */
export function copies(
  text: string,
  from: string,
): { readonly stage: string | undefined; readonly sources: readonly string[]; readonly to: string } {
  const stage = /--from=(\S+)/.exec(text)?.[1];
  const words = text.split(/\s+/).filter((word) => !word.startsWith("--"));
  const to = words.pop()!;
  return { stage, sources: words.flatMap((word) => (word.includes("*") ? globSync(word, { cwd: from }) : [word])), to };
}

export function isFolder(path: string): boolean {
  return statSync(path).isDirectory();
}
