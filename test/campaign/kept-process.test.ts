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

test("a part that is restarted is asked to stop, and lives again when it has", async () => {
  await using part = keep("process.on('SIGTERM', () => { console.error('bye'); process.exit(0); }); setInterval(() => undefined, 1000)");
  await expect.poll(() => part.pid).toBeDefined();
  await new Promise((resolve) => setTimeout(resolve, 200)); // Until it listens for the signal.
  const first = part.pid;
  expect(await part.restart()).toMatchObject({ ended: "exit code 0", lastWords: "bye\n" });
  await expect.poll(() => part.pid !== undefined && part.pid !== first).toBe(true);
  expect(part.deaths).toEqual([]);
});

test("a part that was taken away stays away until it is given back", async () => {
  await using part = keep("setInterval(() => undefined, 1000)");
  const giveBack = await part.takeAway();
  expect(part.pid).toBeUndefined();
  giveBack();
  expect(part.pid).toBeDefined();
  expect(part.deaths).toEqual([]);
});
