import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FAULTS } from "#kernel";
import { ROOT } from "./source-files.ts";

const ROW = /^\| `([a-z_]+)` \| ([a-z_]+) \| (\d+) \| ([^|]+) \| ([^|]+) \|$/;

test("docs/faults.md says what the catalogue says, both ways", () => {
  const page = readFileSync(join(ROOT, "docs/faults.md"), "utf8");
  const documented = page.split("\n").flatMap((line) => {
    const match = ROW.exec(line);
    return match ? [[match[1]!, match.slice(2).map((cell) => cell.trim())] as const] : [];
  });
  const catalogued = Object.entries(FAULTS).map(([reason, kind]) => {
    const retry = kind.retry.kind === "after" ? `after ${kind.retry.waitMs} ms` : kind.retry.kind.replace("_", " ");
    return [reason, [kind.code, String(kind.http), retry, kind.meaning]] as const;
  });
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(catalogued));
});
