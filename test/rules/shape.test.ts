import { expect, test } from "vitest";
import { sourceFiles, withoutComments } from "./source-files.ts";

const LINES_MAX = 400;

test("no file is longer than one can hold in mind", () => {
  const long = sourceFiles()
    .map((file) => ({ path: file.path, lines: file.text.split("\n").length }))
    .filter((file) => file.lines > LINES_MAX)
    .map((file) => `${file.path}: ${file.lines} lines; split it where it changes its subject (at most ${LINES_MAX})`);
  expect(long).toEqual([]);
});

test("file names say what is inside", () => {
  const vague = sourceFiles()
    .map((file) => file.path)
    .filter((path) => /(^|[/-])(utils?|helpers?|common|misc|manager)([/.-])/.test(path) || !/^[a-z0-9./-]+$/.test(path));
  expect(vague, "kebab-case nouns named after what the file exports; no utils, helpers, common, manager").toEqual([]);
});

test("one word per thing: outside the file formats it is a delta", () => {
  const wrong: string[] = [];
  for (const file of sourceFiles()) {
    if (/^(model|bench|test)\//.test(file.path)) continue;
    for (const [index, line] of withoutComments(file.text).split("\n").entries()) {
      // The names of PEFT's files, and of vLLM's metrics, are not ours to choose.
      const ours = line.replace(/adapter_(config|model)|lora_requests_info|(running|waiting)_lora_adapters|max_lora/g, "");
      if (/adapter|\blora/i.test(ours)) wrong.push(`${file.path}:${index + 1}: ${line.trim()} — say delta`);
    }
  }
  expect(wrong).toEqual([]);
});

test("what a schema finds wrong is told in our words", () => {
  const foreign = sourceFiles()
    .filter(({ path, text }) => !/^test\/|\.test\.ts$/.test(path) && /\bimport .*\bz\b.* from "zod"|[sS]afeParse\(/.test(text))
    .filter(({ path, text }) => path !== "kernel/shape-words.ts" && /\.issues\b/.test(text) && !text.includes("error: shapeWords"))
    .map(({ path }) => `${path}: give the parser \`{ error: shapeWords }\``);
  expect(foreign).toEqual([]);
});

test("nothing is left for later in silence", () => {
  const left = sourceFiles()
    .filter((file) => file.path !== "test/rules/shape.test.ts")
    .flatMap((file) => file.text.split("\n").map((line, index) => ({ file, line, index })))
    .filter(({ line }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(line))
    .map(({ file, line, index }) => `${file.path}:${index + 1}: ${line.trim()}`);
  expect(left, "finish it, or open an issue and say so where users look").toEqual([]);
});
