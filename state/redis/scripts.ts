import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** A Lua script: what Redis does at once, with nothing between. Its file says what it takes and returns. */
export interface Script {
  readonly name: ScriptName;
  readonly lua: string;
  /** By which Redis knows it once it has seen it. */
  readonly sha1: string;
}

const NAMES = [
  "self-check",
  "records-put",
  "records-remove",
  "records-page",
  "records-changes",
  "journal-commit",
  "journal-counters",
  "meters-take",
  "meters-release",
  "meters-settle",
  "meters-live",
  "leases-acquire",
  "leases-release",
  "answers-begin",
  "answers-finish",
  "answers-abandon",
  "registry-meet",
] as const;

export type ScriptName = (typeof NAMES)[number];
export type Scripts = Readonly<Record<ScriptName, Script>>;

const FOLDER = join(import.meta.dirname, "scripts");
const INCLUDE = /^--- @include "([a-z-]+)"$/gm;

/** Reads all scripts. A line `--- @include "x"` stands for `include/x.lua`, once per script. */
export async function loadScripts(): Promise<Scripts> {
  const scripts = await Promise.all(NAMES.map(loadScript));
  return Object.fromEntries(scripts.map((script) => [script.name, script])) as unknown as Scripts;
}

async function loadScript(name: ScriptName): Promise<Script> {
  const lua = await withIncludes(await readFile(join(FOLDER, `${name}.lua`), "utf8"), new Set());
  return { name, lua, sha1: createHash("sha1").update(lua).digest("hex") };
}

async function withIncludes(lua: string, seen: Set<string>): Promise<string> {
  let whole = "";
  let at = 0;
  for (const match of lua.matchAll(INCLUDE)) {
    whole += lua.slice(at, match.index);
    at = match.index + match[0].length;
    const name = match[1]!;
    if (seen.has(name)) continue;
    seen.add(name);
    whole += await withIncludes(await readFile(join(FOLDER, "include", `${name}.lua`), "utf8"), seen);
  }
  return whole + lua.slice(at);
}
