import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

/** What makes markup, script or an address out of a text. The page's policy refuses most of it, too: this says so earlier. */
const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [
    /dangerouslySetInnerHTML|\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser/,
    "text is a child",
  ],
  [/\beval\(|new Function\(/, "code is written, not made"],
  [/\b(localStorage|sessionStorage|indexedDB|document\.cookie|caches\.)\b/, "the key and all else live in memory"],
  [/\bhref=\{(?!hrefTo\()/, "a link's parts go through hrefTo()"],
  [/\bhttps?:\/\/(?!www\.w3\.org)/, "nothing comes from elsewhere"],
];

const ROOT = join(import.meta.dirname, "../../console");
const sources = globSync(["src/**/*.{ts,tsx,css,svg}", "index.html"], { cwd: ROOT });

test("no text becomes markup, nothing is stored, and nothing comes from elsewhere", () => {
  expect(sources.length).toBeGreaterThan(50);
  const wrong = sources.flatMap((file) =>
    readFileSync(join(ROOT, file), "utf8")
      .split("\n")
      .flatMap((line, index) =>
        FORBIDDEN.filter(([pattern]) => pattern.test(line.replace(/^\s*(\/\/|\*|\/\*).*/, ""))).map(
          ([, remedy]) => `console/${file}:${index + 1}: ${line.trim()}: ${remedy}`,
        ),
      ),
  );
  expect(wrong).toEqual([]);
});

test("the console imports nothing of ours, and a view nothing of another", () => {
  const wrong = sources
    .filter((file) => /\.tsx?$/.test(file))
    .flatMap((file) => {
      const imports = [...readFileSync(join(ROOT, file), "utf8").matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name]) => name!);
      const view = /^src\/views\/([^/]+)\//.exec(file)?.[1];
      return imports
        .map((name) => (name.startsWith(".") ? join(file, "..", name) : name))
        .filter((name) => {
          const other = /^src\/views\/([^/]+)\//.exec(name)?.[1];
          return name.startsWith("#") || name.startsWith("..") || (view !== undefined && other !== undefined && other !== view);
        })
        .map((name) => `console/${file} imports ${name}`);
    });
  expect(wrong).toEqual([]);
});
