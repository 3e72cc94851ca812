import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { keepProcess } from "./kept-process.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-kept-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const keep = (program: string) =>
  keepProcess({ name: "part", command: process.execPath, args: ["-e", program], logFile: join(folder, "logs/part.log") });

test("a part that is killed lives again at once, and that is nobody's fault", async () => {
  await using part = keep("setInterval(() => undefined, 1000)");
  const first = part.pid;
  expect(part.kill()).toBe(true);
  await expect.poll(() => part.pid !== undefined && part.pid !== first).toBe(true);
  expect(part.deaths).toEqual([]);
});

test("a part that ends by itself is remembered with its last words, and lives again", async () => {
  await using part = keep("console.error('no more'); process.exit(3)");
  await expect.poll(() => part.deaths.length).toBeGreaterThan(1);
  expect(part.deaths[1]).toMatchObject({ name: "part", ended: "exit code 3", lastWords: "no more\n" });
});
