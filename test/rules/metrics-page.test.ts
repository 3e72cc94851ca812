import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isTest, ROOT, sourceFiles } from "./source-files.ts";

const NAME = /\b(?:deltaplane_[a-z_]+|vllm:[a-z0-9_]+)/g;

test("docs/metrics.md names the metrics that the code registers, all of them and no others", () => {
  const registered = new Set<string>();
  for (const file of sourceFiles()) {
    if (isTest(file.path) || !/metrics\.ts$/.test(file.path)) continue;
    // A literal in quotes is a metric; template literals would escape this test, so there are none.
    for (const [, name] of file.text.matchAll(/"((?:deltaplane_|vllm:)[a-z0-9_]+)"/g)) registered.add(name!);
  }
  const documented = new Set(readFileSync(join(ROOT, "docs/metrics.md"), "utf8").match(NAME));
  expect([...documented].sort()).toEqual([...registered].sort());
});
